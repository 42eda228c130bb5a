/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* match.h - the text of `match` keys: which frames are in a traffic class.
 *
 * Why:     one line an operator can read becomes rules for the classifier of src/packet.
 * Grammar: match  = rule *( ";" rule )          any of them
 *          rule   = term *( SP term )           all of them, each field at most once
 *          term   = "dscp" dscp [ "-" dscp ]    0 .. 63, or a name: ef, af41, cs5, be, le, va
 *                 | "pcp" n [ "-" n ]           0 .. 7, of priority-tagged frames
 *                 | "proto" proto [ "-" proto ] 0 .. 255, or tcp, udp, icmp, icmp6, sctp, gre, esp
 *                 | "src" prefix | "dst" prefix 10.0.0.0/8, 2001:db8::/32; without /N one address
 *                 | "sport" n [ "-" n ] | "dport" n [ "-" n ]
 *                 | "queue" n                   alone in its rule: the class owns queue pair n
 * Source:  names of DSCP: RFC 2474, 2597, 3246, 5865 (va), 8622 (le).
 * Thread:  any; no state.
 */
#ifndef TQ_CONF_MATCH_H
#define TQ_CONF_MATCH_H

#include "base/err.h"
#include "base/limits.h"
#include "base/match.h"

#define TQ_MATCH_TEXT_MAX 1023 /* bytes */

/* Most rules that a text may have: to size the array. */
uint32_t tq_match_count(const char *text);
/* Returns 0; -EINVAL with the term that is wrong in *reterr.
 *   ret_rule  [out] shape [tq_match_count(text)]; cls is 0. NULL: only check. */
int tq_match_parse(const char *text, struct tq_match_rule *ret_rule, uint32_t *ret_n,
		   struct tq_err *reterr);

#endif
