# SPDX-License-Identifier: BSD-2-Clause
"""What the system tests stand on: network namespaces, a real Redis, the daemon, its events, traffic, files and their judges."""
