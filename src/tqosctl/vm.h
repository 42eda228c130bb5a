/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vm.h - the exact lines that attach a guest to a port.
 *
 * Why:     which side listens, shared memory, queues and vectors must fit on both sides, or nothing
 *          works and nothing says why.
 * Source:  docs of QEMU (vhost-user, virtio-net-pci), of libvirt (domain XML) and of User-Mode
 *          Linux (virtio_uml.device=); what 7.2 and UML 6.1 were seen to need.
 * Thread:  any.
 * Memory:  struct tq_vm_text is the caller's.
 */
#ifndef TQ_TQOSCTL_VM_H
#define TQ_TQOSCTL_VM_H

#include <stdbool.h>

#include "base/err.h"
#include "conf/model.h"

enum tq_vm_kind { TQ_VM_QEMU, TQ_VM_UML, TQ_VM_LIBVIRT, TQ_VM_N };
const char *tq_vm_kind_name(enum tq_vm_kind kind); /* "qemu-args", ... */

struct tq_vm_ask {
	enum tq_vm_kind kind;
	const char *memory; /* of the guest, as QEMU writes it: "512M" */
	bool no_kvm;        /* QEMU 7.2 without KVM: no MSI-X vectors */
};

struct tq_vm_text {
	char lines[2048]; /* to be given to the VMM, each ends with a newline */
	char notes[1024]; /* for people, each ends with a newline; may be empty */
	char mac[18];     /* configured, or made from the port's name */
};

/* Returns 0; -EINVAL this kind of guest cannot use the port as it is configured (reterr says which
 * key). */
int tq_vm_lines(const struct tq_model *m, const struct tq_port_conf *port,
		const struct tq_vm_ask *ask, struct tq_vm_text *ret_text, struct tq_err *reterr);

#endif
