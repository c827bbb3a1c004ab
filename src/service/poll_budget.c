/* When it pays to poll.
 *
 * Theory: to sleep and to be woken takes 10 to 40 us, on a virtual machine more; where both sides
 * of a conversation are near, that is half of all the time it takes. So the next answer is polled
 * for when the ones before, a whole row of them, have come quickly.
 *
 * What must not happen: polling that takes from others and earns nothing. An answer that comes late
 * (also because somebody else needed the processor) ends the row, and so does polling in vain,
 * after which the row must be twice as long, up to ROW_MAX; once it is long enough, each answer
 * makes it one shorter. So what is lost is at most WINDOW_US in ROW_MAX answers where polling never
 * pays, and nothing where nothing is said. Pure. */
#include "service/poll_budget.h"

#define WINDOW_US 100
#define QUICK_US  200 /* what comes so soon to a sleeper would have come within the window */
#define ROW_MIN   8
#define ROW_MAX   1024

static uint16_t row_needed(const struct poll_budget *budget)
{
    return budget->row < ROW_MIN ? ROW_MIN : budget->row;
}

uint32_t poll_budget_window_us(const struct poll_budget *budget)
{
    return budget->quick >= row_needed(budget) ? WINDOW_US : 0;
}

void poll_budget_came(struct poll_budget *budget, uint64_t elapsed_us)
{
    uint16_t needed = row_needed(budget);

    if (elapsed_us > QUICK_US)
        budget->quick = 0;
    else if (budget->quick < needed)
        budget->quick++;
    else if (needed > ROW_MIN)
        budget->quick = budget->row = (uint16_t)(needed - 1);
}

void poll_budget_missed(struct poll_budget *budget)
{
    uint16_t needed = row_needed(budget);

    budget->quick = 0;
    budget->row = needed < ROW_MAX ? (uint16_t)(needed * 2) : ROW_MAX;
}
