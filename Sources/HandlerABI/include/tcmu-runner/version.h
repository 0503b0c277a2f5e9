/* SPDX-License-Identifier: Apache-2.0 */
/* The release whose binary interface this is. */
#ifndef __TCMU_VERSION_H
#define __TCMU_VERSION_H

#define TCMUR_VERSION "1.6.2"

/* What GlusterFS offers is for the build of a handler to find out: -DGFAPI_VERSION760=1, -DGFAPI_VERSION766=1. */
#ifndef GFAPI_VERSION760
#define GFAPI_VERSION760 0
#endif
#ifndef GFAPI_VERSION766
#define GFAPI_VERSION766 0
#endif

#endif
