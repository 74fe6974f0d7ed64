/* What table.c says of each function and border.c holds its calls against. */

#include <stddef.h>
#include <stdint.h>

#define MOST_ARGUMENTS 20

typedef enum { READ, WRITE, MAYBE, PLACES, TO_PLACES, COLUMNS, SIZE, NUMBER } kind;

typedef enum { NOTHING, WHOLE, REAL } result;

/* READ, WRITE : arrays of doubles; MAYBE : one, or None; PLACES, TO_PLACES : of int64, the latter to write; COLUMNS : a
   sequence of vectors of doubles, or None where the function knows what that is; SIZE : a whole number; NUMBER : a
   double. shape : letters, or digits for sizes that are known. */
typedef struct {
    kind is;
    const char *name, *shape;
} argument;

typedef struct {
    long size[128];                       /* by letter, -1 where nothing has bound it */
    void *at[MOST_ARGUMENTS];             /* data of each array */
    double number[MOST_ARGUMENTS];
    const char *wrong;
} call;

/* may : whether the arguments fulfil what their shapes cannot say, or a sentence in `wrong`. */
typedef struct {
    const char *name;
    result gives;
    int count;
    const argument *arguments;
    int (*may)(call *);
    double (*run)(call *);
} function;

/* The functions of table.c. */
#define EACH(DO)                                                                                             \
    DO(evaluate) DO(neighbours) DO(patterns) DO(residuals) DO(rows) DO(runs) DO(slopes) DO(start) DO(turn) DO(value)
#define DECLARED(name) extern const function lmm_##name##_function;

EACH(DECLARED)

/* Leaves in `wrong` why the arguments do not pass, and gives 0. */
static inline int refuse(call *given, const char *why)
{
    given->wrong = why;
    return 0;
}
