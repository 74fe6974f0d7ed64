/* Each function of the loops: its arguments, what they must fulfil besides their shapes, and the call. */

#include "border.h"
#include "functions.h"
#include "limits.h"

#include <stdlib.h>

#define S(letter) ((int)given->size[letter])
#define L(letter) (given->size[letter])
#define D(place) ((double *)given->at[place])
#define P(place) ((int64_t *)given->at[place])
#define C(place) ((const double *const *)given->at[place])

static int always(call *given)
{
    return given != NULL;
}

/* Whether subjects b to e are some of the N. */
static int some(call *given)
{
    return 0 <= L('b') && L('b') <= L('e') && L('e') <= L('N') ? 1 : refuse(given, "0 <= first <= last <= N is wanted");
}

static int has_room(call *given)
{
    if (L('q') < 1 || L('q') > MOST_EFFECTS || L('r') * L('q') > MOST_NUMBERS)
        return refuse(given, "there is no room for so many numbers of a subject");
    return 1;
}

static int all_within(const int64_t *places, long n, long end)
{
    int good = 1;
    for (long i = 0; i < n; i++)
        good &= 0 <= places[i] && places[i] < end;
    return good;
}

/* Whether subjects begin at rows that follow one another, each with `least` rows or more, of the n rows there are. */
static int rising(const int64_t *starts, long count, int64_t least, long n)
{
    int good = all_within(starts, count, n + 1 - least);
    for (long i = 1; i < count && good; i++)
        good = starts[i] - starts[i - 1] >= least;
    return good;
}

static const argument EVALUATE[] = {
    {READ, "A", "sqqN"}, {READ, "B", "srqN"}, {READ, "S", "srr1"}, {READ, "log_r", "s"}, {READ, "factor", "qq"},
    {READ, "directions", "mqq"}, {READ, "bends", "mmqq"}, {NUMBER, "nu", ""}, {SIZE, "reml", "R"},
    {WRITE, "lower", "rr"}, {WRITE, "gradient", "M"}, {WRITE, "hessian", "MM"}, {WRITE, "gram", "Mrr"},
    {WRITE, "cone", "qq"},
};

static int may_evaluate(call *given)
{
    if ((L('s') != 1 && L('s') != 3) || L('M') != L('m') + (L('s') > 1) || L('r') < 1)
        return refuse(given, "1 or 3 sets, and a derivative more with 3, are wanted");
    if (L('m') > MOST_DIRECTIONS)
        return refuse(given, "there is no room for so many parameters");
    return has_room(given);
}

static double evaluate(call *given)
{
    return lmm_evaluate(S('q'), S('r'), S('m'), S('s'), L('N'), given->number[7], S('R') != 0, D(0), D(1), D(2), D(3),
                        D(4), D(5), D(6), D(9), D(10), D(11), D(12), D(13));
}

static const argument NEIGHBOURS[] = {
    {READ, "U", "dn"}, {READ, "C", "dk"}, {PLACES, "starts", "N"}, {PLACES, "outer", "N"}, {READ, "gaps", "n"},
    {NUMBER, "decay", ""}, {SIZE, "m", "m"}, {WRITE, "A", "sqqN"}, {WRITE, "B", "srqN"}, {WRITE, "total", "sddO"},
    {WRITE, "log_r", "s"},
};

static int may_neighbours(call *given)
{
    if ((L('s') != 1 && L('s') != 3) || L('k') != L('q') + L('r') || L('m') < 0 || L('m') > L('d') || L('O') < 1)
        return refuse(given, "1 or 3 sets, k = q + r, m <= d and a larger unit are wanted");
    if (L('d') < 1 || L('d') > MOST_NEIGHBOURS)
        return refuse(given, "there is no room for so many columns");
    if (!rising(P(2), L('N'), 1, L('n')) || !all_within(P(3), L('N'), L('O')))
        return refuse(given, "starts or outer lie outside");
    return 1;
}

static double neighbours(call *given)
{
    lmm_neighbours(S('d'), S('s'), S('m'), S('q'), S('k'), L('n'), L('N'), P(2), P(3), L('O'), D(0), D(4),
                   given->number[5], D(1), D(7), D(8), D(9), D(10));
    return 0;
}

static const argument PATTERNS[] = {
    {COLUMNS, "entries", "kN"}, {SIZE, "probed", "x"}, {TO_PLACES, "pattern", "N"}, {TO_PLACES, "member", "w"},
};

static int may_patterns(call *given)
{
    for (long k = 0; k < L('k'); k++)
        if (!C(0)[k])
            return refuse(given, "no entry may be None");
    return L('w') < 1 || L('w') > (1L << 40) ? refuse(given, "there is no room for so many patterns") : 1;
}

/* More than -1 is how many there are; -2 is no memory. */
static double patterns(call *given)
{
    long size = 4;
    while (size <= 2 * L('w'))
        size *= 2;
    int64_t *table = malloc(size * sizeof *table);
    if (!table)
        return -2;
    long found = lmm_patterns(S('k'), L('N'), C(0), L('w'), L('x'), size, table, P(2), P(3));
    free(table);
    return (double)found;
}

static const argument RESIDUALS[] = {
    {READ, "y", "n"}, {COLUMNS, "columns", "pn"}, {READ, "coefficients", "p"}, {WRITE, "left", "n"},
};

static double residuals(call *given)
{
    lmm_residuals(S('p'), L('n'), D(0), C(1), D(2), D(3));
    return 0;
}

static const argument ROWS[] = {
    {COLUMNS, "columns", "dn"}, {SIZE, "n", "n"}, {PLACES, "z", "q"}, {PLACES, "xy", "r"}, {PLACES, "starts", "N"},
    {SIZE, "first", "b"}, {SIZE, "last", "e"}, {WRITE, "A", "qqN"}, {WRITE, "B", "rqN"}, {WRITE, "S", "rr"},
};

static int may_rows(call *given)
{
    if (!some(given))
        return 0;
    if (L('d') > MOST_COLUMNS)
        return refuse(given, "there is no room for so many columns");
    long count = L('e') - L('b') + (L('e') < L('N'));
    if (!all_within(P(2), L('q'), L('d')) || !all_within(P(3), L('r'), L('d')) ||
        !rising(P(4) + L('b'), count, 0, L('n')))
        return refuse(given, "z, xy or starts lie outside");
    return 1;
}

static double rows(call *given)
{
    long b = L('b'), e = L('e'), end = e < L('N') ? P(4)[e] : L('n');
    lmm_rows(S('d'), S('q'), S('r'), L('n'), e - b, L('N'), P(4) + b, end, C(0), P(2), P(3), D(7) + b, D(8) + b, D(9));
    return 0;
}

static const argument RUNS[] = {{PLACES, "values", "n"}};

static double runs(call *given)
{
    return (double)lmm_runs(L('n'), P(0));
}

static const argument SLOPES[] = {
    {READ, "A", "qqN"}, {READ, "B", "rqN"}, {MAYBE, "A1", "qqN"}, {MAYBE, "B1", "rqN"}, {MAYBE, "A2", "qqN"},
    {MAYBE, "B2", "rqN"}, {READ, "psi", "4"}, {READ, "W", "rr"}, {SIZE, "first", "b"}, {SIZE, "last", "e"},
    {WRITE, "E", "qq"}, {WRITE, "C", "qq"}, {WRITE, "spread", "qqqq"}, {WRITE, "outer", "rqrq"}, {WRITE, "gram", "rr"},
    {WRITE, "mixed", "qq"}, {WRITE, "rest", "3"},
};

static int may_slopes(call *given)
{
    for (int i = 3; i < 6; i++)
        if (!D(i) != !D(2))
            return refuse(given, "all derivatives are wanted, or none");
    return some(given) && has_room(given);
}

static double slopes(call *given)
{
    long b = L('b');
    int below = D(2) != NULL;
    lmm_slopes(S('q'), S('r'), below, L('e') - b, L('N'), D(0) + b, D(1) + b, below ? D(2) + b : NULL,
               below ? D(3) + b : NULL, below ? D(4) + b : NULL, below ? D(5) + b : NULL, D(6), D(7), D(10), D(11),
               D(12), D(13), D(14), D(15), D(16));
    return 0;
}

static const argument START[] = {
    {READ, "A", "qqN"}, {READ, "B", "rqN"}, {NUMBER, "least", ""}, {SIZE, "first", "b"}, {SIZE, "last", "e"},
    {WRITE, "count", "2"}, {WRITE, "effects", "qq"}, {WRITE, "sampling", "qq"},
};

static int may_start(call *given)
{
    return L('r') < 1 ? refuse(given, "B has no moments of y") : some(given) && has_room(given);
}

static double start(call *given)
{
    long b = L('b');
    const double *last = D(1) + (L('r') - 1) * L('q') * L('N');
    lmm_start(S('q'), L('e') - b, L('N'), D(0) + b, last + b, given->number[2], D(5), D(5) + 1, D(6), D(7));
    return 0;
}

static const argument TURN[] = {
    {READ, "A", "qqN"}, {READ, "B", "rqN"}, {READ, "fixed", "rr"}, {READ, "random", "qq"}, {SIZE, "first", "b"},
    {SIZE, "last", "e"}, {WRITE, "to_A", "qqN"}, {WRITE, "to_B", "rqN"},
};

static int may_turn(call *given)
{
    return some(given) && has_room(given);
}

static double turn(call *given)
{
    long b = L('b');
    lmm_turn(S('q'), S('r'), L('e') - b, L('N'), D(0) + b, D(1) + b, D(2), D(3), D(6) + b, D(7) + b);
    return 0;
}

static const argument VALUE[] = {
    {READ, "A", "qqN"}, {READ, "B", "rqN"}, {READ, "psi", "4"}, {SIZE, "first", "b"}, {SIZE, "last", "e"},
    {WRITE, "quadratic", "rr"},
};

static double value(call *given)
{
    long b = L('b');
    return lmm_value(S('q'), S('r'), L('e') - b, L('N'), D(0) + b, D(1) + b, D(2), D(5));
}

#define FUNCTION(gives, name, NAME, may)                                                                     \
    const function lmm_##name##_function = {#name, gives, sizeof NAME / sizeof *NAME, NAME, may, name};

FUNCTION(REAL, evaluate, EVALUATE, may_evaluate)
FUNCTION(NOTHING, neighbours, NEIGHBOURS, may_neighbours)
FUNCTION(WHOLE, patterns, PATTERNS, may_patterns)
FUNCTION(NOTHING, residuals, RESIDUALS, always)
FUNCTION(NOTHING, rows, ROWS, may_rows)
FUNCTION(WHOLE, runs, RUNS, always)
FUNCTION(NOTHING, slopes, SLOPES, may_slopes)
FUNCTION(NOTHING, start, START, may_start)
FUNCTION(NOTHING, turn, TURN, may_turn)
FUNCTION(REAL, value, VALUE, may_turn)
