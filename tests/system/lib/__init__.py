# SPDX-License-Identifier: BSD-2-Clause
"""Tools of the system tests: network namespaces, a real Redis, the daemon, its events, traffic, and programs that check files."""
