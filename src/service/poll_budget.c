/* When it pays to poll.
 *
 * Theory: to sleep and to be woken takes 10 to 40 us, on a virtual machine more; where both sides
 * of a conversation are near, that is half of all the time it takes. So the next answer is polled
 * for when the ones before, a whole row of them, have come quickly.
 *
 * What must not happen: polling that takes from others and earns nothing. Each answer that was
 * polled for earns what a sleep would have cost, and each that comes late (also because somebody
 * else needed the processor), or not within the window, is paid from that. What has not been earned
 * ends the row. Polling in vain makes the next row twice as long, up to ROW_MAX; once it is long
 * enough, each answer makes it one shorter. So what is lost is at most WINDOW_US in ROW_MAX answers
 * where polling never pays, and nothing where nothing is said. Pure. */
#include "service/poll_budget.h"

#include <stdbool.h>

#define WINDOW_US 100
#define QUICK_US  200 /* what comes so soon to a sleeper would have come within the window */
#define ROW_MIN   8
#define ROW_MAX   1024
/* A window in vain costs what so many answers have saved, who came without a sleep. */
#define WINDOW_PRICE 4
#define EARNED_MAX   64

static uint16_t row_needed(const struct poll_budget *budget)
{
    return budget->row < ROW_MIN ? ROW_MIN : budget->row;
}

uint32_t poll_budget_window_us(const struct poll_budget *budget)
{
    return budget->quick >= row_needed(budget) ? WINDOW_US : 0;
}

/* Pays for a window in vain, or for an answer that came late; false: it was not earned. */
static bool pay(struct poll_budget *budget)
{
    if (budget->earned < WINDOW_PRICE)
        return false;
    budget->earned = (uint16_t)(budget->earned - WINDOW_PRICE);
    return true;
}

void poll_budget_came(struct poll_budget *budget, uint64_t elapsed_us)
{
    uint16_t needed = row_needed(budget);

    if (elapsed_us > QUICK_US) {
        if (!pay(budget))
            budget->quick = 0;
    } else if (budget->quick < needed) {
        budget->quick++;
    } else {
        if (budget->earned < EARNED_MAX)
            budget->earned++;
        if (needed > ROW_MIN)
            budget->quick = budget->row = (uint16_t)(needed - 1);
    }
}

void poll_budget_missed(struct poll_budget *budget)
{
    uint16_t needed = row_needed(budget);

    if (pay(budget))
        return;
    budget->quick = budget->earned = 0;
    budget->row = needed < ROW_MAX ? (uint16_t)(needed * 2) : ROW_MAX;
}
