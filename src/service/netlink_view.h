/* Walks over netlink messages and their attributes (netlink(7)). Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that are still to be read; they stay the caller's. */
struct view {
    const uint8_t *bytes;
    size_t length;
};

/* Leaves out the first `count` bytes. False: there are not so many, and nothing is changed. */
bool view_skip(struct view *view, size_t count);

/* Takes one message, with its padding, off what a recv() gave: its type, and what follows its
 * header. False, and nothing is taken: what is left is shorter than a header, or malformed. */
bool netlink_take_message(struct view *left, uint16_t *ret_type, struct view *ret_payload);

/* Takes one attribute, with its padding, off a message: its type, without the flags in it, and its
 * value. False: as above. */
bool netlink_take_attribute(struct view *left, uint16_t *ret_type, struct view *ret_value);
