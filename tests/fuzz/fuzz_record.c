/* record_parse() on arbitrary bytes; what it accepts must print to text that it accepts again and
 * that prints the same, and must be undoable. */
#include "base/buf.h"
#include "plan/undo.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_buf struct buf first = {0};
    cleanup_buf struct buf second = {0};
    struct record *record = NULL;
    struct record *again = NULL;
    struct error error = {0};
    struct plan *own;
    struct plan *shared;

    if (record_parse((const char *)data, size, &record, &error) < 0)
        return 0;
    record_print(record, &first);
    if (record_parse(buf_text(&first), first.length, &again, &error) < 0)
        abort();
    record_print(again, &second);
    if (first.length != second.length || memcmp(first.data, second.data, first.length) != 0)
        abort();
    own = undo_own(record);
    shared = undo_shared(record, &again, 1);
    plan_free(own);
    plan_free(shared);
    record_free(record);
    record_free(again);
    return 0;
}
