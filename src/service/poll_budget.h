/* When it pays to ask again and again whether an answer has come, instead of sleeping until it
 * does. */
#pragma once

#include <stdint.h>

/* What has been learnt about one kind of answer. Zero-initialised: nothing, so nobody polls. */
struct poll_budget {
    uint16_t quick;  /* answers in a row that came quickly */
    uint16_t row;    /* so many must have before we poll; 0: the least that is asked for */
    uint16_t earned; /* answers that were polled for, less what those that did not come cost */
};

/* How long to poll for the next answer, in us; 0: not at all. */
uint32_t poll_budget_window_us(const struct poll_budget *budget);

/* An answer has come, `elapsed_us` after it was expected. */
void poll_budget_came(struct poll_budget *budget, uint64_t elapsed_us);

/* The window has passed without one. */
void poll_budget_missed(struct poll_budget *budget);
