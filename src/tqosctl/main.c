/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * main.c - tqosctl: see, change and explain what a running tqosd does. docs/reference/cli.md */

#include "tqosctl/cli.h"

int main(int argc, char **argv)
{
	return tq_cli_main(argc, argv, stdout, stderr);
}
