/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * toml++ with a C interface. No exception crosses it: parse errors are values (TOML_EXCEPTIONS 0), and other exceptions
 * (bad_alloc, and those that toml++'s assertions throw here) are caught in toml_read(). toml++ limits the nesting of
 * values but not of dotted keys, whose tables are destroyed recursively, and does not handle all invalid UTF-8 safely;
 * so both are checked before it sees the text.
 */
#include <cerrno>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace
{

/* A mere typo ("[[[x]]]") fails an assertion of toml++ 3.3; that must end the parse, not the process. */
struct broken_assertion {
};

[[noreturn]] void break_off()
{
	throw broken_assertion();
}

} // namespace

#undef NDEBUG /* with it, toml++ lets the compiler assume that its assertions hold */
#define TOML_ASSERT(expr) ((expr) ? void() : break_off())
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 16

#include <toml++/impl/forward_declarations.h>

/* 3.3 reaches a point it calls unreachable when it checks whether "é" is white space; the answer is false. */
#undef TOML_UNREACHABLE
#define TOML_UNREACHABLE return false
#include <toml++/impl/unicode.h>

#undef TOML_UNREACHABLE
#define TOML_UNREACHABLE break_off()
#include <toml++/toml.h>

extern "C" {
#include "base/utf8.h"
}
#include "config/toml_reader.h"

static_assert(TOML_MAX_NESTED_VALUES == TOML_DEPTH_MAX, "the header has the same depth");

namespace
{

toml_location location_of(const toml::source_region &region)
{
	return {region.begin.line, region.begin.column};
}

void set_fault(toml_fault *fault, toml_location location, std::string_view text)
{
	fault->location = location;
	snprintf(fault->text, sizeof(fault->text), "%.*s", static_cast<int>(text.size()), text.data());
}

/* True if the text is UTF-8 and no line of it has more than TOML_DOTS_MAX dots. */
bool may_be_parsed(std::string_view text, toml_fault *fault)
{
	unsigned line = 1, column = 1, dots = 0;
	uint32_t code;
	size_t step;

	for (size_t i = 0; i < text.size(); i += step, column++) {
		step = utf8_decode(text.data() + i, text.size() - i, &code);
		if (step == 0) {
			set_fault(fault, {line, column}, "is not UTF-8");
			return false;
		}
		if (code == '\n') {
			line++;
			column = dots = 0;
		} else if (code == '.' && ++dots > TOML_DOTS_MAX) {
			set_fault(fault, {line, column}, "too many dots in one line");
			return false;
		}
	}
	return true;
}

std::string printable(std::string_view key)
{
	std::string out(key);
	for (char &c : out)
		if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
			c = '?';
	return out;
}

toml_value scalar_of(const toml::node &node)
{
	toml_value value = {};

	value.location = location_of(node.source());
	switch (node.type()) {
	case toml::node_type::string: {
		const std::string &text = node.as_string()->get();
		value.type = TOML_STRING;
		value.string = text.c_str();
		value.size = text.size();
		break;
	}
	case toml::node_type::integer:
		value.type = TOML_INTEGER;
		value.integer = node.as_integer()->get();
		break;
	case toml::node_type::floating_point:
		value.type = TOML_FLOAT;
		value.real = node.as_floating_point()->get();
		break;
	case toml::node_type::boolean:
		value.type = TOML_BOOLEAN;
		value.boolean = node.as_boolean()->get();
		break;
	case toml::node_type::array:
		value.type = TOML_ARRAY;
		break;
	case toml::node_type::table:
		value.type = TOML_TABLE;
		break;
	default:
		value.type = TOML_DATE;
		break;
	}
	return value;
}

void visit_key(const toml::key &key, const toml::node &node, const toml_visitor &visitor)
{
	std::vector<toml_value> items;
	toml_value value = scalar_of(node);

	if (const toml::array *array = node.as_array()) {
		for (const toml::node &item : *array)
			items.push_back(scalar_of(item));
		value.items = items.data();
		value.size = items.size();
	}
	visitor.key(visitor.ctx, printable(key.str()).c_str(), location_of(key.source()), &value);
}

std::string subsection_name(const toml::key &section, const toml::key &key)
{
	return printable(section.str()) + "." + printable(key.str());
}

bool is_subsection(const toml::key &section, const toml::key &key, const toml::node &node, const toml_visitor &visitor)
{
	return node.is_table() && visitor.is_section(visitor.ctx, subsection_name(section, key).c_str());
}

void visit_section(const toml::key &name, const toml::table &table, bool repeated, const toml_visitor &visitor)
{
	toml_location location = location_of(table.source());
	if (location.line == 0)
		location = location_of(name.source());

	visitor.section(visitor.ctx, printable(name.str()).c_str(), repeated, location);
	const std::string_view first = repeated && visitor.first_key ? visitor.first_key : "";
	for (auto &&[key, node] : table)
		if (!first.empty() && key.str() == first)
			visit_key(key, node, visitor);
	for (auto &&[key, node] : table)
		if (!is_subsection(name, key, node, visitor) && (first.empty() || key.str() != first))
			visit_key(key, node, visitor);
	for (auto &&[key, node] : table) {
		if (!is_subsection(name, key, node, visitor))
			continue;
		const toml::table &inner = *node.as_table();
		visitor.section(visitor.ctx, subsection_name(name, key).c_str(), false, location_of(inner.source()));
		for (auto &&[inner_key, inner_node] : inner)
			visit_key(inner_key, inner_node, visitor);
	}
}

bool is_section(const toml::node &node)
{
	return node.is_table() || node.is_array_of_tables();
}

void visit_document(const toml::table &root, const toml_visitor &visitor)
{
	for (auto &&[key, node] : root)
		if (!is_section(node))
			visit_key(key, node, visitor);
	for (auto &&[key, node] : root) {
		if (const toml::table *table = node.as_table())
			visit_section(key, *table, false, visitor);
		else if (node.is_array_of_tables())
			for (const toml::node &element : *node.as_array())
				visit_section(key, *element.as_table(), true, visitor);
	}
}

bool breaks_off(std::string_view document)
{
	try {
		static_cast<void>(toml::parse(document));
		return false;
	} catch (const broken_assertion &) {
		return true;
	}
}

/* The line at which the parser breaks off: the last of the shortest prefix, in whole lines, that makes it. */
toml_location where_broken_off(std::string_view document)
{
	std::vector<size_t> ends; /* of each line */

	for (size_t i = 0; i < document.size(); i++)
		if (document[i] == '\n' || i + 1 == document.size())
			ends.push_back(i + 1);
	size_t low = 0, high = ends.size();
	while (low + 1 < high) {
		size_t middle = low + (high - low) / 2;
		(breaks_off(document.substr(0, ends[middle - 1])) ? high : low) = middle;
	}
	return {static_cast<unsigned>(high), 1};
}

/* 0, or -EINVAL with the fault. */
int parse(std::string_view document, const toml_visitor &visitor, toml_fault *fault)
{
	const toml::parse_result result = toml::parse(document);

	if (!result) {
		set_fault(fault, location_of(result.error().source()), result.error().description());
		return -EINVAL;
	}
	visit_document(result.table(), visitor);
	return 0;
}

} // namespace

int toml_read(const char *text, size_t size, const toml_visitor *visitor, toml_fault *fault)
try {
	const std::string_view document(text, size);

	if (size > TOML_SIZE_MAX)
		return -EFBIG;
	if (!may_be_parsed(document, fault))
		return -EINVAL;
	try {
		return parse(document, *visitor, fault);
	} catch (const broken_assertion &) {
		set_fault(fault, where_broken_off(document), "is not TOML: a name has a character that needs quotes");
		return -EINVAL;
	}
} catch (...) {
	return -ENOMEM;
}
