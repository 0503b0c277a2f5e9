// SPDX-License-Identifier: Apache-2.0
// The extension table: what a version promised stays where it was. A new version adds lines, and changes none.

#include "asserts.h"
#include "martlet-handler.h"

// Version n ends where the first field of version n + 1 stands.
#define ENDS(version, next_field) \
    _Static_assert( \
        offsetof(struct martlet_handler_extension, next_field) == MARTLET_HANDLER_EXTENSION_SIZE_##version, \
        "version " #version " of the table has another size")

// Version 1.
AT(martlet_probe, size, 0);
AT(martlet_probe, byte_count, 8);
AT(martlet_probe, block_byte_count, 16);
AT(martlet_probe, flags, 20);
AT(martlet_probe, reason, 24);
SIZE(martlet_probe, 280);
AT(martlet_extent, byte_count, 0);
AT(martlet_extent, flags, 8);
AT(martlet_extent, reserved, 12);
SIZE(martlet_extent, 16);
AT(martlet_handler_extension, size, 0);
AT(martlet_handler_extension, version, 8);
AT(martlet_handler_extension, flags, 12);
AT(martlet_handler_extension, probe, 16);
AT(martlet_handler_extension, block_status, 24);
_Static_assert(MARTLET_HANDLER_EXTENSION_SIZE_1 == 32, "a size has changed");
_Static_assert(
    MARTLET_HANDLER_UNMAPPED_READS_ZERO == 1 && MARTLET_HANDLER_NEVER_BLOCKS == 2 && MARTLET_PROBE_WILL_CREATE == 1
        && MARTLET_PROBE_READ_ONLY == 2 && MARTLET_EXTENT_MAPPED == 1,
    "flags have moved");

// Version 2.
ENDS(1, map_read);
AT(martlet_handler_extension, map_read, 32);
AT(martlet_handler_extension, completion_descriptor, 40);
AT(martlet_handler_extension, submit, 48);
AT(martlet_handler_extension, reap, 56);
_Static_assert(MARTLET_HANDLER_EXTENSION_SIZE_2 == 64, "a size has changed");
_Static_assert(MARTLET_HANDLER_VECTORED == 4 && MARTLET_HANDLER_WRITE_COPIES == 8, "flags have moved");

// Version 3.
ENDS(2, write_zeroes);
AT(martlet_handler_extension, write_zeroes, 64);
AT(martlet_handler_extension, cancel, 72);
AT(martlet_handler_extension, health, 80);
AT(martlet_health, size, 0);
AT(martlet_health, state, 8);
AT(martlet_health, reserved, 12);
AT(martlet_health, reason, 16);
SIZE(martlet_health, 272);
_Static_assert(MARTLET_HANDLER_EXTENSION_SIZE_3 == 88, "a size has changed");
_Static_assert(MARTLET_HANDLER_ZEROING_UNMAPS == 16 && MARTLET_WRITE_ZEROES_MAY_UNMAP == 1, "flags have moved");
_Static_assert(
    MARTLET_HEALTH_GOOD == 0 && MARTLET_HEALTH_DEGRADED == 1 && MARTLET_HEALTH_FAILED == 2, "states have moved");

// Version 4.
ENDS(3, space);
AT(martlet_handler_extension, space, 88);
AT(martlet_space, size, 0);
AT(martlet_space, used_byte_count, 8);
AT(martlet_space, available_byte_count, 16);
SIZE(martlet_space, 24);
_Static_assert(MARTLET_HANDLER_EXTENSION_SIZE_4 == 96, "a size has changed");

// The version that this header describes ends where the structure does.
_Static_assert(MARTLET_HANDLER_EXTENSION_VERSION == 4, "a version has no lines here");
SIZE(martlet_handler_extension, MARTLET_HANDLER_EXTENSION_SIZE_4);
