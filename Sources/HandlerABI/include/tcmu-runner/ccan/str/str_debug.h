/* SPDX-License-Identifier: Apache-2.0 */
/* Of the collection's debug build, which handlers do not use; the name is here for sources that include it. */
#ifndef CCAN_STR_DEBUG_H
#define CCAN_STR_DEBUG_H
#endif
