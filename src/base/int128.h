/* SPDX-License-Identifier: BSD-2-Clause */
/* 128 bits, for products of 64-bit numbers. A compiler extension, named in one place. */
#pragma once

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;
