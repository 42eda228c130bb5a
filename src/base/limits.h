/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* limits.h - every limit of the system in one place.
 *
 * Why:     static allocation after start; a limit that is hit is an error that names it.
 */
#ifndef TQ_BASE_LIMITS_H
#define TQ_BASE_LIMITS_H

#define TQ_BURST_MAX 64           /* frames handled together (DESIGN section 2) */
#define TQ_VISIT_BYTES_MAX 131072 /* a visit ends at 64 frames, 128 KiB or 256 descriptors */
#define TQ_VISIT_DESCS_MAX 256

#define TQ_WORKERS_MAX 16
#define TQ_TENANTS_MAX 1024
#define TQ_PORTS_MAX 1024       /* VM ports; device links are counted apart */
#define TQ_QUEUE_PAIRS_MAX 64   /* of one port */
#define TQ_CLASSES_PORT_MAX 128 /* of one port */
#define TQ_CLASSES_MAX 131072   /* of all ports */
#define TQ_RULES_PORT_MAX 256   /* rules that put a port's frames into its classes */
#define TQ_NETWORKS_MAX 1024
#define TQ_LINKS_MAX 8       /* fabric included */
#define TQ_NAME_MAX 64       /* bytes of a tenant, port, network or link name, NUL included */
#define TQ_SOCK_PATH_MAX 108 /* sun_path, NUL included */

#define TQ_VQ_SIZE_MIN 32
#define TQ_VQ_SIZE_MAX 4096
#define TQ_CHAIN_DESCS_MAX 128 /* hostile.md D01, D13 */
#define TQ_MEM_REGIONS_MAX 128 /* of one guest; what CONFIGURE_MEM_SLOTS is told */

#define TQ_ETH_HDR_BYTES 14
#define TQ_MTU_MIN 68
#define TQ_MTU_MAX 9216
#define TQ_MTU_DEFAULT 1500
#define TQ_FRAME_BYTES_MAX 65550 /* L2 frame of a 64 KiB super-frame; 65,562 with the net header */
#define TQ_SEGMENTS_MAX 2048     /* of one super-frame: 64 KiB by 32 B */
#define TQ_PEEK_BYTES 128        /* of a frame, copied before anything is decided */

#endif
