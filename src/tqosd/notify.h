/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* notify.h - tell a service manager how we are (sd_notify(3), without its library).
 *
 * Error:   nobody to tell, or nobody who listens: nothing happens.
 */
#ifndef TQ_TQOSD_NOTIFY_H
#define TQ_TQOSD_NOTIFY_H

/* state: "READY=1". */
void tq_notify(const char *state);

#endif
