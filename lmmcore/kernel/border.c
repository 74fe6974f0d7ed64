/* The border between Python and the loops: every call is held against one table, table.c, before it is made.

   The table says of each argument what it is and, in letters, its shape; a letter is a size, bound by the first
   argument that has it, and all others must agree. Beside that stands what no shape can say: limits, and numbers that
   are places in other arrays. What does not pass is a ValueError, and no loop has seen it. Arrays come by the buffer
   protocol: of the right kind of numbers, contiguous and aligned, or refused.

   Cython's memoryviews would check kinds and contiguity, not that sizes agree, which is what a loop overruns; they need
   a compiler of their own at every installation, and cost more per array than a small fit per iteration. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "border.h"
#include "limits.h"
#include "loops.h"

int lmm_instructions = PLAIN;

_Static_assert(sizeof(long) == 8, "sizes are long");

static const char *const INSTRUCTIONS[] = {"plain", "avx2", "avx512"};

static int fault(const function *of, const argument *what, const char *why)
{
    PyErr_Format(PyExc_ValueError, "%s: %s (%s) %s", of->name, what->name, what->shape, why);
    return 0;
}

static int bind(call *given, char letter, long size)
{
    if (letter >= '0' && letter <= '9')
        return size == letter - '0';
    long *known = given->size + (int)letter;
    if (*known < 0)
        *known = size;
    return *known == size;
}

/* Hold an array against its kind and shape, whose first letters are left out; its data, or NULL with an error. */
static void *opened(const function *of, const argument *what, const char *shape, PyObject *object, Py_buffer *view,
                    call *given)
{
    int places = what->is == PLACES || what->is == TO_PLACES;
    int flags = PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (what->is == WRITE || what->is == TO_PLACES ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object, view, flags)) {
        PyErr_Clear();
        view->obj = NULL;
        return fault(of, what, "is no contiguous array, or must not be written"), NULL;
    }
    const char *format = view->format ? view->format : "";
    char letter = format[0] && !format[1] ? format[0] : 0;
    int right = places ? (letter == 'l' || letter == 'q') && view->itemsize == 8 : letter == 'd';
    if (!right || (uintptr_t)view->buf % 8)
        return fault(of, what, places ? "is no aligned array of int64" : "is no aligned array of float64"), NULL;
    int agrees = view->ndim == (int)strlen(shape);
    for (int i = 0; i < view->ndim && agrees; i++)
        agrees = bind(given, shape[i], view->shape[i]);
    return agrees ? view->buf : (fault(of, what, "has another shape"), NULL);
}

typedef struct {
    Py_buffer one[MOST_ARGUMENTS];  /* of the arrays */
    Py_buffer *columns;
    PyObject *sequence;
    const double **pointers;
    Py_ssize_t opened;
} views;

static int open_columns(const function *of, const argument *what, PyObject *object, views *all, call *given, int place)
{
    all->sequence = PySequence_Fast(object, "");
    if (!all->sequence) {
        PyErr_Clear();
        return fault(of, what, "is no sequence of arrays");
    }
    Py_ssize_t count = PySequence_Fast_GET_SIZE(all->sequence);
    if (count > MOST_ANY || !bind(given, what->shape[0], count))
        return fault(of, what, "has another length");
    all->columns = PyMem_Calloc(count + 1, sizeof *all->columns);
    all->pointers = PyMem_Calloc(count + 1, sizeof *all->pointers);
    if (!all->columns || !all->pointers)
        return PyErr_NoMemory(), 0;
    for (; all->opened < count; all->opened++) {
        PyObject *item = PySequence_Fast_GET_ITEM(all->sequence, all->opened);
        if (item == Py_None)
            continue;
        void *data = opened(of, what, what->shape + 1, item, all->columns + all->opened, given);
        if (!data)
            return all->opened++, 0;
        all->pointers[all->opened] = data;
    }
    given->at[place] = all->pointers;
    return 1;
}

static int take(const function *of, int place, PyObject *object, views *all, call *given)
{
    const argument *what = of->arguments + place;
    switch (what->is) {
    case NUMBER:
        given->number[place] = PyFloat_AsDouble(object);
        return !(given->number[place] == -1 && PyErr_Occurred());
    case SIZE: {
        long size = PyLong_AsLong(object);
        if (size == -1 && PyErr_Occurred())
            return 0;
        return size >= 0 && bind(given, what->shape[0], size) ? 1 : fault(of, what, "has another value");
    }
    case COLUMNS:
        return open_columns(of, what, object, all, given, place);
    case MAYBE:
        if (object == Py_None)
            return 1;
        /* fall through */
    default:
        given->at[place] = opened(of, what, what->shape, object, all->one + place, given);
        return given->at[place] != NULL;
    }
}

/* Sizes that no array on the stack depends on, but int does. */
static int within_int(call *given)
{
    for (const char *letter = "dkpqrsmM"; *letter; letter++)
        if (given->size[(int)*letter] > MOST_ANY)
            return refuse(given, "there is no room for so many");
    return 1;
}

/* Whether nothing that is written is part of another array. */
static int apart(const function *of, const views *all, call *given)
{
    for (int i = 0; i < of->count; i++)
        for (int j = 0; j < of->count; j++) {
            const Py_buffer *to = all->one + i, *other = all->one + j;
            int writes = of->arguments[i].is == WRITE || of->arguments[i].is == TO_PLACES;
            if (i == j || !writes || !other->obj || !to->len || !other->len)
                continue;
            const char *a = to->buf, *b = other->buf;
            if (a < b + other->len && b < a + to->len)
                return refuse(given, "an array that is written is part of another");
        }
    return 1;
}

static PyObject *answer(const function *of, const views *all, call *given)
{
    double found = 0;
    if (!within_int(given) || !apart(of, all, given) || !of->may(given)) {
        PyErr_Format(PyExc_ValueError, "%s: %s", of->name, given->wrong);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    found = of->run(given);
    Py_END_ALLOW_THREADS
    if (of->gives == REAL)
        return PyFloat_FromDouble(found);
    if (of->gives == WHOLE)
        return found == -2 ? PyErr_NoMemory() : PyLong_FromLong((long)found);
    Py_RETURN_NONE;
}

static PyObject *make(const function *of, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != of->count)
        return PyErr_Format(PyExc_TypeError, "%s takes %d arguments, not %zd", of->name, of->count, count);
    views all;
    call given = {.wrong = ""};
    all.columns = NULL, all.sequence = NULL, all.pointers = NULL, all.opened = 0;
    for (int i = 0; i < of->count; i++)
        all.one[i].obj = NULL;
    memset(given.size, -1, sizeof given.size);
    int good = 1;
    for (int i = 0; i < of->count && good; i++)
        good = take(of, i, arguments[i], &all, &given);
    PyObject *found = good ? answer(of, &all, &given) : NULL;
    for (int i = 0; i < of->count; i++)
        PyBuffer_Release(all.one + i);
    for (Py_ssize_t i = 0; i < all.opened; i++)
        PyBuffer_Release(all.columns + i);
    PyMem_Free(all.columns);
    PyMem_Free(all.pointers);
    Py_XDECREF(all.sequence);
    return found;
}

#define MAKE(name)                                                                                           \
    static PyObject *make_##name(PyObject *module, PyObject *const *arguments, Py_ssize_t count)             \
    {                                                                                                        \
        return make(&lmm_##name##_function, arguments, count);                                               \
    }
#define METHOD(name) {#name, (PyCFunction)(void (*)(void))make_##name, METH_FASTCALL, NULL},
#define LISTED(name) &lmm_##name##_function,

EACH(MAKE)

static const function *const FUNCTIONS[] = {EACH(LISTED)};

/* How many of INSTRUCTIONS this machine can run, and the compiler has made. */
static int available(void)
{
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2"))
        return 1;
#if !defined(__clang__)
    if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return 3;
#endif
    return 2;
#else
    return 1;
#endif
}

static PyObject *use(PyObject *module, PyObject *name)
{
    for (int i = 0; i < available(); i++)
        if (PyUnicode_Check(name) && !PyUnicode_CompareWithASCIIString(name, INSTRUCTIONS[i])) {
            lmm_instructions = i;
            Py_RETURN_NONE;
        }
    return PyErr_Format(PyExc_ValueError, "this machine has no loops %R", name);
}

static PyObject *used(PyObject *module, PyObject *nothing)
{
    return PyUnicode_FromString(INSTRUCTIONS[lmm_instructions]);
}

/* {function: [(kind, name, shape), ...]}, for tests. */
static PyObject *table(void)
{
    static const char *const KINDS[] = {"read", "write", "maybe", "places", "to places", "columns", "size", "number"};
    PyObject *all = PyDict_New();
    for (size_t f = 0; all && f < sizeof FUNCTIONS / sizeof *FUNCTIONS; f++) {
        const function *of = FUNCTIONS[f];
        PyObject *list = PyList_New(0);
        for (int i = 0; list && i < of->count; i++) {
            const argument *what = of->arguments + i;
            PyObject *entry = Py_BuildValue("(sss)", KINDS[what->is], what->name, what->shape);
            if (!entry || PyList_Append(list, entry))
                Py_CLEAR(list);
            Py_XDECREF(entry);
        }
        if (!list || PyDict_SetItemString(all, of->name, list))
            Py_CLEAR(all);
        Py_XDECREF(list);
    }
    return all;
}

static PyMethodDef METHODS[] = {
    EACH(METHOD) {"use", use, METH_O, "Use the instructions of this name, one of AVAILABLE."},
    {"used", used, METH_NOARGS, "Name of the instructions in use."},
    {NULL, NULL, 0, NULL},
};

static int filled(PyObject *module)
{
    const struct {
        const char *name;
        long value;
    } limits[] = {
        {"ABI", ABI},
        {"MOST_EFFECTS", MOST_EFFECTS},
        {"MOST_NUMBERS", MOST_NUMBERS},
        {"MOST_DIRECTIONS", MOST_DIRECTIONS},
        {"MOST_COLUMNS", MOST_COLUMNS},
        {"MOST_NEIGHBOURS", MOST_NEIGHBOURS},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (PyModule_AddIntConstant(module, limits[i].name, limits[i].value))
            return -1;
    PyObject *names = PyTuple_New(available());
    for (int i = 0; names && i < available(); i++)
        PyTuple_SET_ITEM(names, i, PyUnicode_FromString(INSTRUCTIONS[i]));
    lmm_instructions = available() - 1;
    if (PyModule_AddObjectRef(module, "AVAILABLE", names))
        return -1;
    PyObject *known = table();
    int failed = PyModule_AddObjectRef(module, "TABLE", known);
    Py_XDECREF(names);
    Py_XDECREF(known);
    return failed;
}

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, filled}, {0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_loops", "The compiled loops of lmmcore.kernel.", 0, METHODS, SLOTS, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__loops(void)
{
    return PyModuleDef_Init(&MODULE);
}
