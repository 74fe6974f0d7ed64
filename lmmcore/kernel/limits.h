/* What the loops have room for: the sizes of their arrays on the stack. border.c holds every call against them and
   shows them to Python, which then does without the loops. */

/* Raised whenever a function or its arguments change: another number in lmmcore/kernel/__init__.py is refused. */
#define ABI 1

#define MOST_EFFECTS 2     /* random effects of a subject, q: level.c, evaluate.c, start.c, turn.c */
#define MOST_NUMBERS 32    /* numbers B of a subject, r * q: level.c, evaluate.c, turn.c */
#define MOST_DIRECTIONS 3  /* parameters of Psi: evaluate.c */
#define MOST_COLUMNS 16    /* distinct columns: rows.c */
#define MOST_NEIGHBOURS 12 /* columns of U: neighbours.c */
#define MOST_ANY 30000     /* of any of these that no array on the stack depends on: their squares are an int */
