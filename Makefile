# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# A thin front over meson and ninja: `make help`.
BUILD ?= build

all:
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
	@ninja -C $(BUILD)

.PHONY: all
