/* Names of ICMP types (IANA, "ICMP Parameters" and "ICMPv6 Parameters"). Private to src/policy/. */
#pragma once

#include "policy/parser.h"

/* The types of IPPROTO_ICMP or IPPROTO_ICMPV6. */
struct keywords icmp_type_keywords(uint8_t protocol);
