/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * cppcheck.h - macros of libraries whose headers cppcheck is not given, in a form it can parse.
 * Never compiled.
 */
#include "/usr/include/x86_64-linux-gnu/sys/queue.h"

#define json_object_foreach(object, key, value)                                                    \
	for (key = json_first(object); key && (value = json_get(object, key)); key = json_next(key))
#define json_array_foreach(array, index, value)                                                    \
	for (index = 0; index < json_array_size(array) && (value = json_at(array, index)); index++)
