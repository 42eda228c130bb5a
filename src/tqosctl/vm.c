/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "tqosctl/vm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

const char *tq_vm_kind_name(enum tq_vm_kind kind)
{
	static const char *const names[TQ_VM_N] = { "qemu-args", "uml-args", "libvirt-xml" };

	tq_verify((unsigned int)kind < TQ_VM_N);
	return names[kind];
}

static void append(char *text, size_t size, const char *fmt, ...) TQ_PRINTF(3, 4);

static void append(char *text, size_t size, const char *fmt, ...)
{
	size_t n = strlen(text);
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vsnprintf(text + n, size - n, fmt, ap);
	va_end(ap);
	tq_verify(rc >= 0 && (size_t)rc < size - n);
}

#define LINE(t, ...) append((t)->lines, sizeof((t)->lines), __VA_ARGS__)
#define NOTE(t, ...) append((t)->notes, sizeof((t)->notes), __VA_ARGS__)

/* Without a configured address every QEMU guest would come with the same default one, and the
 * second be refused: make one of the name, in QEMU's range. */
static void choose_mac(const struct tq_port_conf *port, struct tq_vm_text *t)
{
	const uint8_t *m = port->mac;
	uint32_t hash = 2166136261u; /* FNV-1a */

	if (port->mac_set) {
		snprintf(t->mac, sizeof(t->mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2],
			 m[3], m[4], m[5]);
		return;
	}
	for (const char *c = port->name; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	hash ^= hash >> 24; /* the low bits alone differ too little between vm1 and vm2 */
	snprintf(t->mac, sizeof(t->mac), "52:54:00:%02x:%02x:%02x", hash >> 16 & 0xff,
		 hash >> 8 & 0xff, hash & 0xff);
}

static void note_mac(const struct tq_model *m, const struct tq_port_conf *port,
		     struct tq_vm_text *t)
{
	if (!port->mac_set)
		NOTE(t,
		     "The MAC address was made from the port's name. To allow no other:\n"
		     "  tqosctl set tenants.%s.ports.%s.mac %s\n",
		     m->tenants[port->tenant].name, port->name, t->mac);
}

static int refuse(const struct tq_model *m, const struct tq_port_conf *port, const char *guest,
		  const char *key, const char *value, const char *why, struct tq_err *reterr)
{
	const char *tenant = m->tenants[port->tenant].name;

	tq_err_path(reterr, "tenants.%s.ports.%s.%s", tenant, port->name, key);
	tq_err_set(reterr, -EINVAL, "%s cannot use this port: %s", guest, why);
	tq_err_hint(reterr, "tqosctl set tenants.%s.ports.%s.%s %s", tenant, port->name, key,
		    value);
	return -EINVAL;
}

/* ---- QEMU ---- */

/* QEMU's option parser takes a comma as the end of a value; two stand for one. */
static void line_path(struct tq_vm_text *t, const char *path)
{
	for (; *path; path++)
		LINE(t, "%s%c", *path == ',' ? "," : "", *path);
}

/* A number of 1 to 255 made of the name; a guest's ports mostly differ in their last characters. */
static uint32_t chassis_of(const struct tq_port_conf *port)
{
	uint32_t hash = 0;

	for (const char *c = port->name; *c; c++)
		hash = hash * 31 + (uint8_t)*c;
	return 1 + hash % 255;
}

static void qemu(const struct tq_model *m, const struct tq_port_conf *port,
		 const struct tq_vm_ask *ask, struct tq_vm_text *t)
{
	const struct tq_network *net = &m->networks[port->network];

	LINE(t, "-m %s\n", ask->memory);
	LINE(t, "-object memory-backend-memfd,id=tqos-mem,size=%s,share=on\n", ask->memory);
	LINE(t, "-numa node,memdev=tqos-mem\n");
	LINE(t, "-chardev socket,id=tqos-chr-%s,path=", port->name);
	line_path(t, port->socket_path);
	LINE(t, "%s\n", port->mode == TQ_PORT_CLIENT ? ",server=on,wait=off" : "");
	LINE(t, "-netdev vhost-user,id=tqos-net-%s,chardev=tqos-chr-%s", port->name, port->name);
	if (port->queue_pairs > 1)
		LINE(t, ",queues=%u", port->queue_pairs);
	LINE(t, "\n");
	/* ATS, by which QEMU tells us what the guest takes back, is of PCI Express: directly on
	 * q35's root complex Linux leaves it off. */
	if (port->iommu)
		LINE(t, "-device pcie-root-port,id=tqos-rp-%s,chassis=%u\n", port->name,
		     chassis_of(port));
	LINE(t, "-device virtio-net-pci,netdev=tqos-net-%s,mac=%s", port->name, t->mac);
	if (port->iommu)
		LINE(t, ",bus=tqos-rp-%s", port->name);
	if (port->queue_pairs > 1)
		LINE(t, ",mq=on");
	if (ask->no_kvm)
		LINE(t, ",vectors=0");
	else if (port->queue_pairs >
		 1) /* two a pair, one for the control virtqueue, one for the configuration */
		LINE(t, ",vectors=%u", 2 * port->queue_pairs + 2);
	if (net->mtu_set)
		LINE(t, ",host_mtu=%u", net->mtu);
	if (port->packed)
		LINE(t, ",packed=on");
	if (port->iommu)
		LINE(t, ",iommu_platform=on,ats=on");
	LINE(t, "\n");
	if (port->iommu)
		NOTE(t,
		     "The guest needs an IOMMU: -machine q35,kernel-irqchip=split and, before the "
		     "devices,\n-device intel-iommu,intremap=on,device-iotlb=on (intremap=off and "
		     "no kernel-irqchip\nwithout KVM). chassis is unique in the guest.\n");
	NOTE(t, "The first three lines stand once for each guest; more ports add the rest.\n");
	if (!ask->no_kvm)
		NOTE(t,
		     "QEMU 7.2 without KVM (-accel tcg) crashes with MSI-X here: add --no-kvm.\n");
	if (port->mode == TQ_PORT_SERVER)
		NOTE(t,
		     "A restart of tqosd ends this connection; add reconnect=1 to -chardev "
		     "(QEMU 9.2 and later:\n"
		     "reconnect-ms=200), or let QEMU listen: tqosctl set "
		     "tenants.%s.ports.%s.mode client\n",
		     m->tenants[port->tenant].name, port->name);
	note_mac(m, port, t);
}

/* ---- libvirt ---- */

static void line_xml(struct tq_vm_text *t, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			LINE(t, "&amp;");
			break;
		case '<':
			LINE(t, "&lt;");
			break;
		case '\'':
			LINE(t, "&apos;");
			break;
		default:
			LINE(t, "%c", *text);
		}
	}
}

static void libvirt(const struct tq_model *m, const struct tq_port_conf *port, struct tq_vm_text *t)
{
	const struct tq_network *net = &m->networks[port->network];
	bool we_listen = port->mode == TQ_PORT_SERVER;

	LINE(t, "<memoryBacking>\n  <source type='memfd'/>\n  <access mode='shared'/>\n"
		"</memoryBacking>\n");
	LINE(t, "<interface type='vhostuser'>\n  <mac address='%s'/>\n", t->mac);
	LINE(t, "  <source type='unix' path='");
	line_xml(t, port->socket_path);
	if (we_listen)
		LINE(t,
		     "' mode='client'>\n    <reconnect enabled='yes' timeout='1'/>\n  </source>\n");
	else
		LINE(t, "' mode='server'/>\n");
	LINE(t, "  <model type='virtio'/>\n");
	if (port->queue_pairs > 1 || port->packed || port->iommu)
		LINE(t, "  <driver");
	if (port->queue_pairs > 1)
		LINE(t, " queues='%u'", port->queue_pairs);
	if (port->packed)
		LINE(t, " packed='on'");
	if (port->iommu)
		LINE(t, " iommu='on' ats='on'");
	if (port->queue_pairs > 1 || port->packed || port->iommu)
		LINE(t, "/>\n");
	if (net->mtu_set)
		LINE(t, "  <mtu size='%u'/>\n", net->mtu);
	LINE(t, "</interface>\n");
	NOTE(t, "<memoryBacking> goes into <domain>, once; <interface> into <devices>.\n");
	NOTE(t, "A guest with <numa> cells needs memAccess='shared' in each of them.\n");
	NOTE(t, "libvirt's QEMU user must be in the socket's group (host.vhost_group, %s).\n",
	     port->group[0] ? port->group : m->host.vhost_group);
	note_mac(m, port, t);
}

/* ---- User-Mode Linux ---- */

#define UML "User-Mode Linux"

static int uml(const struct tq_model *m, const struct tq_port_conf *port, struct tq_vm_text *t,
	       struct tq_err *reterr)
{
	/* It hands these bits to the guest as they are. */
	if (port->packed)
		return refuse(m, port, UML, "features.packed", "off", "it has no packed virtqueues",
			      reterr);
	if (port->iommu)
		return refuse(m, port, UML, "features.iommu", "off",
			      "its driver would use an IOMMU that it does not have", reterr);
	if (port->queue_pairs > 1 && !port->ctrl_vq)
		return refuse(m, port, UML, "features.ctrl_vq", "on",
			      "without it it has one queue pair", reterr);
	if (port->mode == TQ_PORT_CLIENT)
		return refuse(m, port, UML, "mode", "server", "it connects and cannot listen",
			      reterr);
	if (strpbrk(port->socket_path, ": "))
		return refuse(m, port, UML, "socket", "NAME.sock",
			      "its command line ends a path at : and blanks", reterr);
	LINE(t, "virtio_uml.device=%s:1\n", port->socket_path);
	NOTE(t, "Start it with TMPDIR=/dev/shm (its memory file is shared with tqosd) and "
		"mem=SIZE.\n");
	if (port->mac_set && !port->ctrl_vq)
		NOTE(t, "The guest must set the port's address: ip link set eth0 address %s\n",
		     t->mac);
	return 0;
}

int tq_vm_lines(const struct tq_model *m, const struct tq_port_conf *port,
		const struct tq_vm_ask *ask, struct tq_vm_text *ret_text, struct tq_err *reterr)
{
	*ret_text = (struct tq_vm_text){ 0 };
	choose_mac(port, ret_text);
	/* QEMU has a control queue and a configuration space of its own; 7.2 may crash when it is
	 * offered another. */
	if (ask->kind != TQ_VM_UML && port->ctrl_vq)
		return refuse(m, port, "QEMU", "features.ctrl_vq", "off",
			      "it has a control virtqueue of its own", reterr);
	switch (ask->kind) {
	case TQ_VM_QEMU:
		qemu(m, port, ask, ret_text);
		return 0;
	case TQ_VM_LIBVIRT:
		libvirt(m, port, ret_text);
		return 0;
	case TQ_VM_UML:
		return uml(m, port, ret_text, reterr);
	case TQ_VM_N:
		break;
	}
	tq_verify(!"a kind of guest that is not known");
	return -EINVAL;
}
