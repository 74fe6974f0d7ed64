/* Which subjects are alike in all of a few numbers. */

#include "functions.h"

#include <string.h>

/* entries : k pointers to columns (N,); table : (size,), size a power of 2 larger than `most`. Gives pattern : (N,),
   numbered 0, 1, ... in the order of their first subject, and member : (most,), that subject; returns how many there
   are, or -1 where they are more than `most` or all of the first `probed` subjects differ. */
long lmm_patterns(int k, long N, const double *const *entries, long most, long probed, long size, int64_t *table,
                  int64_t *pattern, int64_t *member)
{
    long found = 0;
    for (long place = 0; place < size; place++)
        table[place] = -1;
    for (long i = 0; i < N; i++) {
        uint64_t key = 0;
        for (int e = 0; e < k; e++) {
            uint64_t bits;
            double number = entries[e][i] + 0.0; /* -0 is 0 */
            memcpy(&bits, &number, sizeof bits);
            key = (key ^ bits) * 0x9e3779b97f4a7c15u;
            key ^= key >> 29;
        }
        long place = key & (size - 1);
        for (; table[place] >= 0; place = (place + 1) & (size - 1)) {
            long other = member[table[place]];
            int same = 1;
            for (int e = 0; e < k; e++)
                same &= entries[e][i] == entries[e][other];
            if (same)
                break;
        }
        if (table[place] < 0) {
            if (found == most)
                return -1;
            member[found] = i;
            table[place] = found++;
        }
        pattern[i] = table[place];
        if (i + 1 == probed && found == probed && N > probed)
            return -1;
    }
    return found;
}
