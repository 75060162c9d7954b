/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration file: values, units, defaults and faults. */
#include "config_fixture.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/clock.h"

#define ORIGINAL(tag)                                                                                        \
	"[general]\nmaxpackets  = 50000\nwritelocal  = false\nlocaldir    = \"/tmp\"\nsnaplength  = 500\n"   \
	"[cloudshark]\nhost        = \"cloudshark.org\"\nscheme      = \"https\"\nport        = 443\n"       \
	"token       = \"fffffffffffffffffff\"\nupload      = true\n"                                        \
	"[redis]\nhost        = \"node.running.redis.net\"\nport        = 6379\nchannel     = \"capture\"\n" \
	"# consult /usr/include/sys/syslog.h for Priority\n[syslog]\npriority    = 85\ntag         = " tag   \
	"      # its name\n[[interface]]\nname        = \"eth0\"\nalias       = [\"main\", \"public\"]\n"    \
	"[[interface]]\nname        = \"lo\"\nalias       = [\"local\"]\n"

static void test_original_programs_file_loads(void **state)
{
	(void)state;
	assert_loads(ORIGINAL("\"pcapdaemon\""));
	assert_int_equal(fixture_config->general.snaplength_bytes, 500);
	assert_string_equal(fixture_config->local.directory, "/tmp");
	assert_string_equal(fixture_config->cloudshark.host, "cloudshark.org");
	assert_int_equal(fixture_config->cloudshark.port, 443);
	assert_string_equal(fixture_config->cloudshark.token, "fffffffffffffffffff");
	assert_true(fixture_config->cloudshark.upload);
	assert_string_equal(fixture_config->redis.host, "node.running.redis.net");
	assert_int_equal(fixture_config->interface_count, 2);
	assert_string_equal(fixture_config->interfaces[0].name, "eth0");
	assert_int_equal(fixture_config->interfaces[0].alias.count, 2);
	assert_string_equal(fixture_config->interfaces[0].alias.items[1], "public");
	assert_true(fixture_config->interfaces[1].promiscuous);
	assert_string_equal(fixture_config->interfaces[1].name, "lo");
}

static void test_unquoted_tag_is_refused_with_the_line_to_write(void **state)
{
	(void)state;
	assert_fault(ORIGINAL("pcapdaemon"),
		     "t.toml:19:15: syslog.tag: the value needs quotes: write tag = \"pcapdaemon\"");
	assert_fault("[syslog]\ntag=pcapdaemon",
		     "t.toml:2:5: syslog.tag: the value needs quotes: write tag = \"pcapdaemon\"");
}

static void test_unquoted_values_are_refused_by_their_type(void **state)
{
	(void)state;
	assert_fault("[redis]\nhost = 10.0.0.1\n",
		     "t.toml:2:12: redis.host: the value needs quotes: write host = \"10.0.0.1\"");
	assert_fault("[redis]\ntls = yes\n", "t.toml:2:7: redis.tls: must be true or false, got \"yes\"");
	assert_fault("[redis]\nport = 63k\n", "t.toml:2:10: redis.port: must be a whole number, got \"63k\"");
	assert_fault("[limits]\nmemory = MiB\n",
		     "t.toml:2:10: limits.memory: the value needs quotes: write memory = \"MiB\"");
	assert_fault("[[interface]]\nalias = [a, b]\n",
		     "t.toml:2:10: interface.alias: every string in an array needs quotes, like [\"a\", \"b\"]");
}

static void test_unquoted_secret_is_not_shown(void **state)
{
	(void)state;
	assert_fault("[redis]\nauth = hunter2\n", "t.toml:2:8: redis.auth: the value needs quotes: write auth = \"…\"");
	assert_fault("[redis]\nauht = hunter2\n", "t.toml:2:8: redis.auht: the value needs quotes: write auht = \"…\"");
	assert_null(strstr(buffer_text(&fixture_faults), "hunter2"));
}

static void test_defaults_match_the_contract(void **state)
{
	const struct config *config;
	char host[HOST_NAME_MAX + 1];

	(void)state;
	assert_loads("");
	config = fixture_config;
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	assert_string_equal(config->general.node, host);
	assert_int_equal(config->general.maxpackets, 50000);
	assert_int_equal(config->general.maxbytes, 100000000);
	assert_int_equal(config->general.maxtimeout_ns, 3600 * NS_PER_S);
	assert_int_equal(config->general.maxduration_ns, 3600 * NS_PER_S);
	assert_int_equal(config->general.defaulttimeout_ns, 60 * NS_PER_S);
	assert_int_equal(config->general.snaplength_bytes, 262144);
	assert_false(config->general.writelocal);
	assert_string_equal(config->local.directory, "/var/lib/pcapdaemon");
	assert_string_equal(config->general.format, "pcapng");
	assert_int_equal(config->limits.captures, 256);
	assert_int_equal(config->limits.memory_bytes, 256 << 20);
	assert_int_equal(config->limits.requests_per_second, 1000);
	assert_int_equal(config->limits.retry_ns, 900 * NS_PER_S);
	assert_int_equal(config->history.interfaces.count, 0);
	assert_int_equal(config->history.memory_bytes, 256 << 20);
	assert_int_equal(config->history.keep_ns, 60 * NS_PER_S);
	assert_string_equal(config->history.snaplength, "262144");
	assert_string_equal(config->cloudshark.host, "localhost");
	assert_string_equal(config->cloudshark.scheme, "https");
	assert_int_equal(config->cloudshark.port, 0);
	assert_int_equal(config->cloudshark.timeout_ns, 0);
	assert_string_equal(config->cloudshark.token, "");
	assert_false(config->cloudshark.upload);
	assert_true(config->cloudshark.verify);
	assert_true(config->redis.listen);
	assert_string_equal(config->redis.host, "127.0.0.1");
	assert_int_equal(config->redis.port, 6379);
	assert_string_equal(config->redis.channel, "capture");
	assert_string_equal(config->redis.events, "capture:events");
	assert_false(config->redis.configured);
	assert_int_equal(config->syslog.priority, 85);
	assert_string_equal(config->syslog.tag, "pcapdaemon");
	assert_string_equal(config->log.level, "info");
	assert_int_equal(config->interface_count, 0);
	assert_null(config->path);
}

static void test_sizes_and_times_take_units(void **state)
{
	(void)state;
	assert_loads("[general]\nmaxbytes = \"64MiB\"\nmaxtimeout = \"2m\"\ndefaulttimeout = 1.5\nmaxduration = 7\n"
		     "snaplength = \"1KiB\"\n[cloudshark]\ntimeout = \"250ms\"\n[history]\nsnaplength = 96\n");
	assert_int_equal(fixture_config->general.maxbytes, 64 << 20);
	assert_int_equal(fixture_config->general.maxtimeout_ns, 120 * NS_PER_S);
	assert_int_equal(fixture_config->general.defaulttimeout_ns, 1500000000);
	assert_int_equal(fixture_config->general.maxduration_ns, 7 * NS_PER_S);
	assert_int_equal(fixture_config->general.snaplength_bytes, 1024);
	assert_int_equal(fixture_config->cloudshark.timeout_ns, 250000000);
	assert_string_equal(fixture_config->history.snaplength, "96");
	assert_loads("[history]\nsnaplength = \"headers\"\n");
	assert_string_equal(fixture_config->history.snaplength, "headers");
}

static void test_events_channel_follows_the_channel_unless_given(void **state)
{
	(void)state;
	assert_loads("[redis]\nchannel = \"pcap\"\n");
	assert_string_equal(fixture_config->redis.events, "pcap:events");
	assert_true(fixture_config->redis.configured);
	assert_loads("[redis]\nevents = \"e\"\n");
	assert_string_equal(fixture_config->redis.events, "e");
	assert_fault("[redis]\nchannel = \"x\"\nevents = \"x\"\n",
		     "t.toml:3:10: redis.events: is also the request channel: events would be read as requests");
	assert_fault("[redis]\nchannel = \"c\"\n[[input]]\nname = \"c:events\"\n",
		     "t.toml:3:1: input.name: is also redis.events: rules would see what they cause");
	assert_fault("[redis]\nchannel = \"c\"\n[[input]]\nname = \"c\"\n",
		     "t.toml:3:1: input.name: is also redis.channel: rules would see what they cause");
	assert_loads("[redis]\nchannel = \"c\"\n[[input]]\nname = \"c\"\nfrom = \"redis-list\"\n");
}

static void test_wrong_types_are_refused_with_expected_and_given_type(void **state)
{
	static const char *const cases[][2] = {
		{"[general]\nnode = 5", "t.toml:2:8: general.node: must be a string in quotes, got the number 5"},
		{"[general]\nwritelocal = 1",
		 "t.toml:2:14: general.writelocal: must be true or false, got the number 1"},
		{"[general]\nwritelocal = \"true\"",
		 "t.toml:2:14: general.writelocal: must be true or false, got \"true\""},
		{"[general]\nmaxpackets = \"5\"", "t.toml:2:14: general.maxpackets: must be a whole number, got \"5\""},
		{"[general]\nmaxpackets = 1.5",
		 "t.toml:2:14: general.maxpackets: must be a whole number, got the number 1.5"},
		{"[general]\nmaxpackets = 1979-05-27",
		 "t.toml:2:14: general.maxpackets: must be a whole number, got a date or time"},
		{"[general]\nmaxbytes = 1.5", "t.toml:2:12: general.maxbytes: must be a size: a whole number of bytes, "
					      "or a string like \"64MiB\", got the number 1.5"},
		{"[limits]\nmemory = \"64 MiB\"", "t.toml:2:10: limits.memory: must be a size: a whole number of "
						  "bytes, or a string like \"64MiB\", got \"64 MiB\""},
		{"[general]\nmaxtimeout = true", "t.toml:2:14: general.maxtimeout: must be a time: a number of "
						 "seconds, or a string like \"1.5s\", got true"},
		{"[general]\nformat = [\"pcap\"]",
		 "t.toml:2:10: general.format: must be a string in quotes, got an array"},
		{"[general]\nformat = \"cap\"",
		 "t.toml:2:10: general.format: must be \"pcapng\" or \"pcap\", got \"cap\""},
		{"[general]\nnode.a = 1", "t.toml:2:1: general.node: must be a string in quotes, got a table"},
		{"[[interface]]\nname = \"a\"\nalias = \"b\"",
		 "t.toml:3:9: interface.alias: must be an array of strings, like [\"a\", \"b\"], got \"b\""},
		{"[[interface]]\nname = \"a\"\nalias = [\"b\", 1]",
		 "t.toml:3:9: interface.alias: must be an array of strings, like [\"a\", \"b\"]; entry 2 is not a "
		 "string"},
		{"[kafka]\nserver = \"a:1\"",
		 "t.toml:2:10: kafka.server: must be an array of strings, like [\"a\", \"b\"], got \"a:1\""},
		{"[cloudshark]\ntoken = 12345", "t.toml:2:9: cloudshark.token: must be a string in quotes"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_fault(cases[i][0], cases[i][1]);
}

static void test_values_out_of_range_are_refused_with_the_range(void **state)
{
	static const char *const cases[][2] = {
		{"[redis]\nport = 0", "t.toml:2:8: redis.port: must be from 1 to 65535, got the number 0"},
		{"[redis]\nport = 65536", "t.toml:2:8: redis.port: must be from 1 to 65535, got the number 65536"},
		{"[redis]\nport = -1", "t.toml:2:8: redis.port: must be from 1 to 65535, got the number -1"},
		{"[general]\nsnaplength = 262145",
		 "t.toml:2:14: general.snaplength: must be from 1 bytes to 262144 bytes, got the number 262145"},
		{"[general]\nsnaplength = \"99999999999999999999TiB\"",
		 "t.toml:2:14: general.snaplength: must be from 1 bytes to 262144 bytes, got "
		 "\"99999999999999999999TiB\""},
		{"[general]\nmaxduration = 9223372036854775807",
		 "t.toml:2:15: general.maxduration: must be from 0.001 seconds to 31622400 seconds, got the number "
		 "9223372036854775807"},
		{"[general]\nmaxduration = nan", "t.toml:2:15: general.maxduration: must be from 0.001 seconds to "
						 "31622400 seconds, got the number nan"},
		{"[general]\nmaxduration = 1e300", "t.toml:2:15: general.maxduration: must be from 0.001 seconds to "
						   "31622400 seconds, got the number 1e+300"},
		{"[syslog]\npriority = 192", "t.toml:2:12: syslog.priority: must be from 0 to 191, got the number 192"},
		{"[redis]\nchannel = \"\"", "t.toml:2:11: redis.channel: must not be empty"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_fault(cases[i][0], cases[i][1]);
}

static void test_unknown_names_are_refused_with_a_suggestion(void **state)
{
	static const char *const cases[][2] = {
		{"[genral]\nx = 1", "t.toml:1:1: [genral]: unknown section (did you mean [general]?)"},
		{"[quux]", "t.toml:1:1: [quux]: unknown section"},
		{"[redis]\nprot = 1", "t.toml:2:1: redis.prot: unknown key (did you mean port?)"},
		{"[redis]\ntag = \"x\"", "t.toml:2:1: redis.tag: unknown key (the key belongs to [syslog])"},
		{"[redis]\nxyzzy = 1", "t.toml:2:1: redis.xyzzy: unknown key"},
		{"maxpackets = 5", "t.toml:1:1: maxpackets: is outside any section (the key belongs to [general])"},
		{"xyzzy = 5", "t.toml:1:1: xyzzy: unknown key, outside any section"},
		{"redis = 5", "t.toml:1:1: redis: is a section; write [redis]"},
		{"interface = []", "t.toml:1:1: interface: is a section; write [[interface]]"},
		{"[interface]\nname = \"a\"", "t.toml:1:1: [interface]: write [[interface]]"},
		{"[[redis]]\nhost = \"a\"", "t.toml:1:1: [[redis]]: may occur only once; write [redis]"},
		{"[redis.sub]\nx = 1", "t.toml:1:8: redis.sub: unknown key"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_fault(cases[i][0], cases[i][1]);
}

static void test_syntax_errors_name_their_line(void **state)
{
	(void)state;
	assert_int_equal(load_text("[redis]\nhost = \"a\"\nhost = \"b\"\n"), -EINVAL);
	assert_non_null(strstr(buffer_text(&fixture_faults), "t.toml:3:"));
	assert_int_equal(load_text("[syslog]\ntag = \"pcap\n"), -EINVAL);
	assert_non_null(strstr(buffer_text(&fixture_faults), "t.toml:2:"));
	assert_fault("# one\n[redis]\n\n[[[x]]]\n[general]\n",
		     "t.toml:4:1: is not TOML: a name has a character that needs quotes");
	assert_fault("[%x", "t.toml:1:1: is not TOML: a name has a character that needs quotes");
}

static void test_non_ascii_text_is_kept_or_refused_with_its_line(void **state)
{
	(void)state;
	assert_int_equal(load_text("[general]\nnode = \"x\"\n\u00e9 = 1\n"), -EINVAL);
	assert_non_null(strstr(buffer_text(&fixture_faults), "t.toml:3:"));
	assert_fault("[general]\n# \xff\n", "t.toml:2:3: is not UTF-8");
	assert_loads("[general]\nnode = \"k\u00f6ln\" # \u00e9\n");
	assert_string_equal(fixture_config->general.node, "k\u00f6ln");
}

static void test_syntax_error_is_the_only_one_reported(void **state)
{
	(void)state;
	assert_int_equal(load_text("[cloudshark]\nupload = true\ntoken = [\n"), -EINVAL);
	assert_null(strstr(buffer_text(&fixture_faults), "needs an API token"));
}

static void test_nesting_is_capped(void **state)
{
	struct buffer text = BUFFER_INIT(4 * 1024 * 1024);

	(void)state;
	assert_int_equal(buffer_append_string(&text, "[a"), 0);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buffer_append_string(&text, ".a"), 0);
	assert_int_equal(buffer_append_string(&text, "]\n"), 0);
	assert_fault(text.data, "t.toml:1:1027: too many dots in one line");

	buffer_clear(&text);
	assert_int_equal(buffer_append_string(&text, "a = "), 0);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buffer_append_string(&text, "["), 0);
	assert_int_equal(load_text(text.data), -EINVAL);
	buffer_deinit(&text);
}

static void test_oversized_file_is_refused(void **state)
{
	struct buffer text = BUFFER_INIT(4 * 1024 * 1024);

	(void)state;
	while (text.size < 1024 * 1024)
		assert_int_equal(buffer_append_string(&text, "# nothing in here, only a long way to say so\n"), 0);
	assert_fault(text.data, "t.toml: is larger than 1048576 bytes");
	assert_int_equal(load_arguments("-config", fixture_file("big.toml", text.data), NULL), -EINVAL);
	assert_non_null(strstr(buffer_text(&fixture_faults), "is larger than 1048576 bytes"));
	buffer_deinit(&text);
}

static void test_control_characters_are_refused(void **state)
{
	(void)state;
	assert_fault("[general]\nnode = \"a\\u0000b\"", "t.toml:2:8: general.node: cannot contain control characters");
	assert_fault("[general]\nnode = \"a\\nb\"", "t.toml:2:8: general.node: cannot contain control characters");
	assert_fault("[general]\nnode = \"\\u001b[31m\"",
		     "t.toml:2:8: general.node: cannot contain control characters");
	assert_fault("[general]\n\"no\\u0000de\" = \"x\"",
		     "t.toml:2:1: general.no?de: unknown key (did you mean node?)");
}

static void test_unsupported_features_are_refused_only_if_enabled(void **state)
{
	static const char *const on[][2] = {
		{"[kafka]\nlisten = true", "t.toml:2:10: kafka.listen: is not available in this build yet"},
		{"[sqs]\nlisten = true", "t.toml:2:10: sqs.listen: is not available in this build yet"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(on) / sizeof(*on); i++)
		assert_fault(on[i][0], on[i][1]);
	assert_loads(
		"[history]\ninterfaces = []\nmemory = \"1GiB\"\nseconds = 0\nfilter = \"tcp\"\nexclude_own = true\n"
		"[http]\nupload = false\nurl = \"https://h/\"\nmethod = \"POST\"\n"
		"header = [\"A: b\"]\nverify = false\n[kafka]\nlisten = false\n"
		"server = [\"h:9092\"]\ntopic = \"t\"\n[sqs]\nlisten = false\nregion = \"r\"\naccessid = \"a\"\n"
		"accesskey = \"k\"\nurl = \"https://q/\"\nwaitseconds = 20\nchunksize = 10\n");
}

static void test_uploads_to_http_are_checked(void **state)
{
	static const char *const wrong[][2] = {
		{"upload = true", "t.toml: http.url: is missing (or url_file)"},
		{"url = \"ftp://h/\"", "t.toml:2:7: http.url: must begin with https:// or http://"},
		{"url = \"https:///x\"", "t.toml:2:7: http.url: has no host"},
		{"url = \"https://{node}/x\"", "t.toml:2:7: http.url: cannot have placeholders before its path"},
		{"url = \"https://h/{nmae}\"",
		 "t.toml:2:7: http.url: has an unknown placeholder (there are {node}, {interface}, {customer}, {id}, "
		 "{capture}, {name}, {tags}, {comment}, {date}, {time})"},
		{"url = \"https://h/{name\"",
		 "t.toml:2:7: http.url: has a brace that belongs to no placeholder; write {{ or "
		 "}} for a brace itself"},
		{"url = \"https://h/a b\"",
		 "t.toml:2:7: http.url: cannot contain a space, '#' or a character that is not "
		 "ASCII (percent-encode it)"},
		{"header = [\"secret\"]", "t.toml:2:10: http.header: must be \"Name: value\""},
		{"header = [\"a b: secret\"]", "t.toml:2:10: http.header: must be \"Name: value\""},
		{"header = [\"content-length: 1\"]", "t.toml:2:10: http.header: cannot set Content-Length, "
						     "Transfer-Encoding, Host or Connection"},
		{"header = \"X: secret\"",
		 "t.toml:2:10: http.header: must be an array of strings, like [\"a\", \"b\"]"},
		{"form_field = \"f\"", "t.toml:2:14: http.form_field: needs method = \"POST\""},
		{"method = \"POST\"\nform = [\"a=b\"]", "t.toml:3:8: http.form: needs form_field"},
		{"method = \"POST\"\nform_field = \"f\"\nform = [\"{tags}=b\"]",
		 "t.toml:4:8: http.form: must be \"name=value\""},
		{"username = \"u\"", "t.toml:2:12: http.username: needs a password: password_file (or password)"},
		{"token = \"t\"\nheader = [\"authorization: x\"]",
		 "t.toml:2:9: http.token: conflicts with the header Authorization; set only one of them"},
		{"token = \"a b\"",
		 "t.toml:2:9: http.token: contains a character that bearer tokens cannot have (a space, "
		 "or one that is not ASCII)"},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		snprintf(text, sizeof(text), "[http]\n%s\n", wrong[i][0]);
		assert_fault(text, wrong[i][1]);
	}
	assert_loads(
		"[http]\nupload = true\nmethod = \"POST\"\nurl = \"http://u:p@h:1/{customer}?n={name}&sig=%2B{{\"\n"
		"header = [\"X-A: {tags}\", \"Content-Type:\"]\ntoken = \"a.b/c+d==\"\n");
	assert_loads("[http]\nupload = true\nmethod = \"POST\"\nurl = \"https://h\"\nform_field = \"file\"\n"
		     "form = [\"tags={tags}\", \"a==\"]\nusername = \"u\"\npassword = \"p\"\n");
}

static void test_uploads_of_destinations_are_checked(void **state)
{
	(void)state;
	assert_fault("[[destination]]\nname = \"a\"\ntype = \"http\"\n",
		     "t.toml:1:1: destination.url: is missing (or url_file)");
	assert_fault("[[destination]]\nname = \"a\"\ntype = \"http\"\nurl = \"https://h/{name}\"\nform_field = \"f\"\n",
		     "t.toml:5:14: destination.form_field: needs method = \"POST\"");
	assert_fault("[[destination]]\nname = \"a\"\ntype = \"sftp\"\nhost = \"h\"\n",
		     "t.toml:1:1: destination.user: is missing");
	assert_loads("[[destination]]\nname = \"a\"\ntype = \"http\"\nurl = \"https://h/{name}\"\ntoken = \"t\"\n");
}

static void test_uploads_to_sftp_are_checked(void **state)
{
	static const char *const wrong[][2] = {
		{"upload = true", "t.toml: sftp.host: is missing"},
		{"host = \"h:22\"",
		 "t.toml:2:8: sftp.host: \"h:22\" must be a host name or address without a port, which "
		 "has a key of its own"},
		{"upload = true\nhost = \"h\"", "t.toml: sftp.user: is missing"},
		{"path = \"a/\"", "t.toml:2:8: sftp.path: \"a/\" must end in the file's name, as in captures/{name}"},
		{"path = \"a/../{name}\"", "t.toml:2:8: sftp.path: \"a/../{name}\" cannot contain \"..\""},
		{"host_key_sha256 = \"abc\"",
		 "t.toml:2:19: sftp.host_key_sha256: \"abc\" must be SHA256: and 43 characters of "
		 "base64, as ssh-keygen -l prints it"},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		snprintf(text, sizeof(text), "[sftp]\n%s\n", wrong[i][0]);
		assert_fault(text, wrong[i][1]);
	}
	assert_fault("[sftp]\nupload = true\nhost = \"h\"\nuser = \"u\"\nkey_file = \"/dev/null\"\n",
		     "t.toml: sftp.known_hosts: is missing (or host_key_sha256): the server's key is always checked");
}

static void test_webhooks_are_checked(void **state)
{
	static const char *const wrong[][2] = {
		{"", "t.toml:1:1: webhook.name: is missing"},
		{"name = \"a\"", "t.toml:1:1: webhook.url_file: is missing (or url)"},
		{"name = \"a\"\nurl = \"hooks.example/secret\"",
		 "t.toml:3:7: webhook.url: must begin with https:// or http://"},
		{"name = \"a\"\nurl_file = \"/nonexistent\"",
		 "t.toml:1:1: webhook.url_file: /nonexistent: No such file or directory"},
		{"events = [\"don\"]",
		 "t.toml:2:10: webhook.events: \"don\" is no event (there are accepted, rejected, "
		 "captured, done, failed, spooled, warning and suppressed)"},
		{"format = \"xml\"",
		 "t.toml:2:10: webhook.format: must be \"event\" or \"slack\" or \"teams\", got \"xml\""},
		{"header = [\"x\"]", "t.toml:2:10: webhook.header: must be \"Name: value\""},
		{"name = \"a\"\nurl = \"https://h\"\n[[webhook]]\nname = \"a\"\nurl = \"https://h\"",
		 "t.toml:4:1: webhook.name: \"a\" is the one in line 1 already"},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		snprintf(text, sizeof(text), "[[webhook]]\n%s\n", wrong[i][0]);
		assert_fault(text, wrong[i][1]);
	}
	assert_loads("[[webhook]]\nname = \"a\"\nurl = \"https://h/x?y\"\nevents = [\"done\", \"rejected\"]\n"
		     "format = \"slack\"\nheader = [\"X: {}\"]\nretry = \"1m\"\n");
}

static void test_s3_keys_are_read(void **state)
{
	static const char *const kinds[][2] = {{"false", "false"},
					       {"true", "true"},
					       {"\"AES256\"", "AES256"},
					       {"\"aws:kms\"", "aws:kms"}};
	char text[128];

	(void)state;
	assert_loads(
		"[s3]\nupload = true\naccessid = \"a\"\naccesskey = \"k\"\nendpoint = \"http://s3.example:9000\"\n"
		"bucket = \"captures\"\npcaps = \"f/g\"\nregion = \"eu-west-1\"\nacl = \"private\"\nencryption = true\n"
		"path_style = false\nallow_override = [\"bucket\", \"endpoint\"]\n");
	assert_true(fixture_config->s3.upload && fixture_config->s3.verify);
	assert_string_equal(fixture_config->s3.folder, "f/g");
	assert_string_equal(fixture_config->s3.path_style, "false");
	assert_int_equal(fixture_config->s3.allow_override.count, 2);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		snprintf(text, sizeof(text), "[s3]\nencryption = %s\n", kinds[i][0]);
		assert_loads(text);
		assert_string_equal(fixture_config->s3.encryption, kinds[i][1]);
	}
}

static void test_s3_keys_are_checked(void **state)
{
	static const char *const faults[][2] = {
		{"[s3]\nupload = true", "t.toml:2:10: s3.upload: needs a bucket"},
		{"[s3]\naccessid = \"a\"", "t.toml:2:12: s3.accessid: needs a secret: accesskey_file (or accesskey)"},
		{"[s3]\naccesskey = \"a\"", "t.toml:2:13: s3.accesskey: needs accessid"},
		{"[s3]\nfolder = \"a\"\npcaps = \"b\"",
		 "t.toml:3:9: s3.pcaps: conflicts with folder; set only one of them"},
		{"[s3]\nkms_key_id = \"k\"",
		 "t.toml:2:14: s3.kms_key_id: has no effect without encryption = \"aws:kms\""},
		{"[s3]\nencryption = \"odd\"",
		 "t.toml:2:14: s3.encryption: must be \"AES256\" or \"aws:kms\" or \"aws:kms:dsse\", got \"odd\""},
		{"[s3]\npath_style = \"odd\"", "t.toml:2:14: s3.path_style: must be true or false"},
		{"[s3]\nencryption = 1", "t.toml:2:14: s3.encryption: must be true or false, or a string"},
		{"[s3]\nbucket = \"a/b\"",
		 "t.toml:2:10: s3.bucket: \"a/b\" must be 3 to 63 of the characters A-Z a-z 0-9 . _ -"},
		{"[s3]\nregion = \"a.b\"",
		 "t.toml:2:10: s3.region: \"a.b\" must be at most 63 of the characters A-Z a-z 0-9 - _"},
		{"[s3]\nfolder = \"a/../b\"",
		 "t.toml:2:10: s3.folder: \"a/../b\" cannot have \".\" or \"..\" as a component"},
		{"[s3]\nendpoint = \"ftp://h\"",
		 "t.toml:2:12: s3.endpoint: \"ftp://h\" must begin with https:// or http://, or have no scheme"},
		{"[s3]\nendpoint = \"https://u@h\"",
		 "t.toml:2:12: s3.endpoint: \"https://u@h\" must be [https://]HOST[:PORT]; "
		 "it cannot have a user, a path or a query"},
		{"[s3]\nendpoint = \"h:0\"", "t.toml:2:12: s3.endpoint: \"h:0\" must end in a port, 1 to 65535"},
		{"[s3]\nallow_override = [\"accessid\"]", "t.toml:2:18: s3.allow_override: \"accessid\" is no field of "
							  "a request for S3 (there are bucket, folder, "
							  "region, endpoint, acl and encryption)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		assert_fault(faults[i][0], faults[i][1]);
	assert_loads("[s3]\nendpoint = \"[::1]\"\n");
	assert_loads("[s3]\nendpoint = \"https://[::1]:9000/\"\n");
}

static void test_cluster_and_sentinel_keys_are_checked(void **state)
{
	(void)state;
	assert_loads("[redis]\npresence = false\nstream = \"s\"\ngroup = \"g\"\nstream_max_age = \"1h\"\n"
		     "nodes = [\"a:1\", \"[::1]:65535\"]\nupload = true\nfile_size = \"1MiB\"\nfile_ttl = 60\n");
	assert_loads("[redis]\nsentinels = [\"s1:26379\"]\nmaster = \"m\"\nsentinel_auth = \"p\"\n");
	assert_loads("[cloudshark]\npublic_url = \"https://cs.example.net:8443/shark/\"");
	assert_fault("[cloudshark]\npublic_url = \"cs.example.net\"",
		     "t.toml:2:14: cloudshark.public_url: \"cs.example.net\" must begin with http:// or https://");
	assert_fault("[cloudshark]\npublic_url = \"http:///captures\"",
		     "t.toml:2:14: cloudshark.public_url: \"http:///captures\" must have a host");
	assert_fault("[cloudshark]\npublic_url = \"https://user@cs.example.net\"",
		     "t.toml:2:14: cloudshark.public_url: \"https://user@cs.example.net\" must be "
		     "scheme://host[:port][/path], without '@', '?', '#', quotes and spaces");
	assert_fault("[redis]\nnodes = [\"a\"]", "t.toml:2:9: redis.nodes: \"a\" must be host:port");
	assert_fault("[redis]\nnodes = [\"a:0\"]", "t.toml:2:9: redis.nodes: \"a:0\" must end in a port, 1 to 65535");
	assert_fault("[redis]\nnodes = [\"::1:6379\"]",
		     "t.toml:2:9: redis.nodes: \"::1:6379\" must be host:port, with an "
		     "IPv6 address in brackets, as in [::1]:6379");
	assert_fault("[redis]\nsentinel_auth = \"m\"",
		     "t.toml:2:17: redis.sentinel_auth: has no effect without sentinels");
	assert_fault("[redis]\nnodes = [\"a:1\"]\nsentinels = [\"b:1\"]",
		     "t.toml:2:9: redis.nodes: is for a Cluster, sentinels are for a master with replicas; set only "
		     "one of them");
}

static void test_api_needs_a_token_and_tls_beyond_loopback(void **state)
{
	(void)state;
	assert_loads("[api]\nsocket = \"\"\n");
	assert_loads("[api]\nlisten = \"127.0.0.1:7227\"\ntoken = \"0123456789abcdef\"\n");
	assert_fault("[api]\nlisten = \"127.0.0.1:7227\"",
		     "t.toml:2:10: api.listen: needs a token: token_file (or token)");
	assert_fault("[api]\nlisten = \"192.0.2.1:7227\"\ntoken = \"0123456789abcdef\"",
		     "t.toml:2:10: api.listen: needs TLS except on loopback: cert_file and key_file");
	assert_fault("[api]\nlisten = \"127.0.0.1:7227\"\ntoken = \"0123456789abcde\"",
		     "t.toml:3:9: api.token: must have at least 16 characters");
	assert_loads("[api]\ngroup = \"\"\n");
	assert_fault("[api]\ngroup = \"no-such-group\"",
		     "t.toml:2:9: api.group: this host has no group \"no-such-group\"");
	assert_fault("[api]\nsocket = \"x\"", "t.toml:2:10: api.socket: \"x\" must be an absolute path");
}

static void test_recorder_keys_are_checked(void **state)
{
	(void)state;
	assert_loads(
		"[limits]\nretry = \"1h\"\n[history]\ninterfaces = [\"eth0\", \"not-there-yet\"]\nmemory = \"32MiB\"\n"
		"seconds = \"5m\"\nfilter = \"not port 22\"\nexclude_own = true\n");
	assert_int_equal(fixture_config->limits.retry_ns, 3600 * NS_PER_S);
	assert_int_equal(fixture_config->history.interfaces.count, 2);
	assert_int_equal(fixture_config->history.memory_bytes, 32 << 20);
	assert_int_equal(fixture_config->history.keep_ns, 300 * NS_PER_S);
	assert_string_equal(fixture_config->history.filter, "not port 22");
	assert_true(fixture_config->history.exclude_own);
	assert_loads("[limits]\nretry = 0\n[history]\nseconds = 0\n");
	assert_fault("[history]\nmemory = \"8388607\"\n",
		     "t.toml:2:10: history.memory: must be from 32 MiB to 1048576 MiB, got \"8388607\"");
	assert_fault("[history]\ninterfaces = [\"a/b\"]\n", "t.toml:2:14: history.interfaces: \"a/b\" is not an "
							    "interface name: it cannot contain a slash or a space");
	assert_fault(
		"[history]\nsnaplength = \"header\"\n",
		"t.toml:2:14: history.snaplength: must be a whole number of bytes, or \"headers\", got \"header\"");
	assert_fault("[history]\nsnaplength = 0\n",
		     "t.toml:2:14: history.snaplength: must be from 1 to 262144, got the number 0");
}

static void test_each_interface_has_one_section_and_a_name(void **state)
{
	(void)state;
	assert_fault("[[interface]]\nname = \"a\"\n[[interface]]\nname = \"a\"\n",
		     "t.toml:3:1: interface.name: \"a\" already has a section, in line 1");
	assert_fault("[[interface]]\nalias = [\"a\"]\n", "t.toml:1:1: interface.name: is missing");
	assert_fault("[[interface]]\nname = \"\"\n", "t.toml:2:8: interface.name: must not be empty");
	assert_fault("[[interface]]\nname = \"a\"\nalias = [\"x\", \"x\"]\n",
		     "t.toml:3:9: interface.alias: has \"x\" twice");
	assert_fault(
		"[[interface]]\nname = \"../a\"\n",
		"t.toml:2:8: interface.name: \"../a\" is not an interface name: it cannot contain a slash or a space");
	assert_loads("[[interface]]\nname = \"a\"\nalias = [\"x\"]\npromiscuous = false\n[[interface]]\nname = "
		     "\"b\"\nalias = [\"x\"]\n");
	assert_false(fixture_config->interfaces[0].promiscuous);
	assert_true(fixture_config->interfaces[1].promiscuous);
}

static void test_interfaces_and_aliases_are_capped(void **state)
{
	struct buffer text = BUFFER_INIT(1024 * 1024);

	(void)state;
	for (int i = 0; i <= CONFIG_INTERFACES_MAX; i++)
		assert_int_equal(buffer_printf(&text, "[[interface]]\nname = \"e%d\"\n", i), 0);
	assert_fault(text.data, "t.toml:513:1: interface: more than 256 interfaces");

	buffer_clear(&text);
	assert_int_equal(buffer_append_string(&text, "[[interface]]\nname = \"e\"\nalias = ["), 0);
	for (int i = 0; i <= CONFIG_ALIASES_MAX; i++)
		assert_int_equal(buffer_printf(&text, "\"a%d\",", i), 0);
	assert_int_equal(buffer_append_string(&text, "]\n"), 0);
	assert_fault(text.data, "t.toml:3:9: interface.alias: has 65 entries; the limit is 64");
	buffer_deinit(&text);
}

static void test_hosts_are_bare_names_or_addresses(void **state)
{
	(void)state;
	assert_fault("[redis]\nhost = \"redis://x\"", "t.toml:2:8: redis.host: \"redis://x\" must be a bare host name "
						      "or address, without a scheme or a path");
	assert_fault("[redis]\nhost = \"a b\"", "t.toml:2:8: redis.host: \"a b\" must be a host name or address; it "
						"cannot contain a space, '@', '?' or '#'");
	assert_fault("[cloudshark]\nhost = \"h:80\"", "t.toml:2:8: cloudshark.host: \"h:80\" must be a host name or "
						      "address without a port, which has a key of its own");
	assert_loads("[redis]\nhost = \"::1\"\n[cloudshark]\nhost = \"[fe80::1]\"");
}

static void test_tokens_are_safe_in_a_url_path(void **state)
{
	(void)state;
	assert_loads("[cloudshark]\ntoken = \"aZ09_-.~\"");
	assert_fault("[cloudshark]\ntoken = \"a/../b\"",
		     "t.toml:2:9: cloudshark.token: contains a character that "
		     "tokens cannot have (allowed are letters, digits and _ - . ~)");
	assert_null(strstr(buffer_text(&fixture_faults), "a/../b"));
	assert_fault("[cloudshark]\ntoken = \"..\"",
		     "t.toml:2:9: cloudshark.token: cannot be a token: it is a path component");
}

static void test_upload_needs_a_token(void **state)
{
	(void)state;
	assert_fault("[cloudshark]\nupload = true", "t.toml:2:10: cloudshark.upload: needs an API token: token_file "
						    "(or token) in [cloudshark], or -cstoken");
	assert_fault("[cloudshark]\nupload = true\ntoken = \"\"", "t.toml:2:10: cloudshark.upload: needs an API token: "
								  "token_file (or token) in [cloudshark], or -cstoken");
}

static void test_local_directory_must_be_a_directory(void **state)
{
	char text[8192], line[8192];
	const char *file = fixture_file("f", "x");

	(void)state;
	snprintf(text, sizeof(text), "[general]\nwritelocal = true\nlocaldir = \"%s\"\n", fixture_directory);
	assert_loads(text);
	snprintf(text, sizeof(text), "[general]\nwritelocal = true\nlocaldir = \"%s\"\n", fixture_path("none"));
	snprintf(line, sizeof(line), "t.toml:3:12: general.localdir: %s: No such file or directory",
		 fixture_path("none"));
	assert_fault(text, line);
	snprintf(text, sizeof(text), "[general]\nwritelocal = true\nlocaldir = \"%s\"\n", file);
	snprintf(line, sizeof(line), "t.toml:3:12: general.localdir: %s: is not a directory", file);
	assert_fault(text, line);
	assert_loads("[general]\nlocaldir = \"/none\"\n");
}

static void test_redis_tls_keys_depend_on_each_other(void **state)
{
	char text[16384], line[8192];
	const char *file = fixture_file("pem", "x");

	(void)state;
	snprintf(text, sizeof(text), "[redis]\ntls = true\ncert_file = \"%s\"\n", file);
	assert_fault(text, "t.toml:3:13: redis.cert_file: needs key_file");
	snprintf(text, sizeof(text), "[redis]\ntls = true\nkey_file = \"%s\"\n", file);
	assert_fault(text, "t.toml:3:12: redis.key_file: needs cert_file");
	snprintf(text, sizeof(text), "[redis]\nca_file = \"%s\"\n", file);
	assert_fault(text, "t.toml:2:11: redis.ca_file: has no effect without tls = true");
	snprintf(text, sizeof(text), "[redis]\ntls = true\ncert_file = \"%s\"\nkey_file = \"%s\"\nca_file = \"%s\"\n",
		 file, file, file);
	assert_loads(text);
	snprintf(text, sizeof(text), "[redis]\ntls = true\nca_file = \"%s\"\n", fixture_path("none"));
	snprintf(line, sizeof(line), "t.toml:3:11: redis.ca_file: %s: No such file or directory", fixture_path("none"));
	assert_fault(text, line);
	assert_fault("[redis]\nusername = \"u\"", "t.toml:2:12: redis.username: needs a password: auth_file (or auth)");
}

static void test_default_timeout_is_within_the_limit(void **state)
{
	(void)state;
	assert_fault("[general]\nmaxtimeout = 10\ndefaulttimeout = 11\n",
		     "t.toml:3:18: general.defaulttimeout: is more than maxtimeout");
	assert_fault("[general]\nmaxtimeout = 10\n",
		     "t.toml:2:14: general.maxtimeout: is less than defaulttimeout (60 seconds, the default)");
	assert_loads("[general]\nmaxtimeout = 10\ndefaulttimeout = 10\n");
}

static void test_all_faults_are_reported_in_file_order(void **state)
{
	const char *text, *port, *host, *tag;

	(void)state;
	assert_int_equal(load_text("[syslog]\ntag = 1\n[redis]\nport = 0\nhost = 2\n"), -EINVAL);
	text = buffer_text(&fixture_faults);
	tag = strstr(text, "t.toml:2:");
	port = strstr(text, "t.toml:4:");
	host = strstr(text, "t.toml:5:");
	assert_true(tag && port && host && tag < port && port < host);
}

static void test_faults_are_capped(void **state)
{
	struct buffer text = BUFFER_INIT(1024 * 1024);
	unsigned lines = 0;

	(void)state;
	assert_int_equal(buffer_append_string(&text, "[redis]\n"), 0);
	for (int i = 0; i < CONFIG_FAULTS_MAX + 10; i++)
		assert_int_equal(buffer_printf(&text, "x%d = 1\n", i), 0);
	assert_int_equal(load_text(text.data), -EINVAL);
	for (const char *c = buffer_text(&fixture_faults); *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, CONFIG_FAULTS_MAX + 1);
	assert_has_line("and 10 more faults");
	buffer_deinit(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_original_programs_file_loads),
		TEST(test_unquoted_tag_is_refused_with_the_line_to_write),
		TEST(test_unquoted_values_are_refused_by_their_type),
		TEST(test_unquoted_secret_is_not_shown),
		TEST(test_defaults_match_the_contract),
		TEST(test_sizes_and_times_take_units),
		TEST(test_events_channel_follows_the_channel_unless_given),
		TEST(test_wrong_types_are_refused_with_expected_and_given_type),
		TEST(test_values_out_of_range_are_refused_with_the_range),
		TEST(test_unknown_names_are_refused_with_a_suggestion),
		TEST(test_syntax_errors_name_their_line),
		TEST(test_non_ascii_text_is_kept_or_refused_with_its_line),
		TEST(test_syntax_error_is_the_only_one_reported),
		TEST(test_nesting_is_capped),
		TEST(test_oversized_file_is_refused),
		TEST(test_control_characters_are_refused),
		TEST(test_unsupported_features_are_refused_only_if_enabled),
		TEST(test_uploads_to_http_are_checked),
		TEST(test_uploads_to_sftp_are_checked),
		TEST(test_uploads_of_destinations_are_checked),
		TEST(test_webhooks_are_checked),
		TEST(test_s3_keys_are_read),
		TEST(test_s3_keys_are_checked),
		TEST(test_cluster_and_sentinel_keys_are_checked),
		TEST(test_api_needs_a_token_and_tls_beyond_loopback),
		TEST(test_recorder_keys_are_checked),
		TEST(test_each_interface_has_one_section_and_a_name),
		TEST(test_interfaces_and_aliases_are_capped),
		TEST(test_hosts_are_bare_names_or_addresses),
		TEST(test_tokens_are_safe_in_a_url_path),
		TEST(test_upload_needs_a_token),
		TEST(test_local_directory_must_be_a_directory),
		TEST(test_redis_tls_keys_depend_on_each_other),
		TEST(test_default_timeout_is_within_the_limit),
		TEST(test_all_faults_are_reported_in_file_order),
		TEST(test_faults_are_capped),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
