/* op.c - reads the op lines of op.h, once, into the operands that shape checks, plan and devices go by. */
#include <ctype.h>
#include <pthread.h>
#include <string.h>

#include "base/err.h"
#include "hone/op.h"

static hone_op_info ops[HONE_N_OPS] = {
#define XX(op_name, op_line, op_rule) {.name = #op_name, .line = op_line, .rule = op_rule},
    HONE_OP_MAP(XX)
#undef XX
};
static pthread_once_t ops_read = PTHREAD_ONCE_INIT;

static int find_name(const hone_operand *list, int n, const char *name, size_t length) {
    for (int i = 0; i < n; i++)
        if (strlen(list[i].name) == length && !memcmp(list[i].name, name, length)) return i;
    return -1;
}

/* One operand at *p; *adds is set where it ends in +. Moves *p behind it. */
static hone_operand read_operand(const hone_op_info *op, const char **p, int *adds) {
    hone_operand o = {.name = ""};
    const char *s = *p, *bracket = strchr(s, '[');
    HONE_ASSERT(bracket && bracket > s && (size_t)(bracket - s) < sizeof o.name - 1);
    memcpy(o.name, s, (size_t)(bracket - s));
    for (s = bracket; *s == '[' || *s == ','; s += 2) {
        HONE_ASSERT(o.n_dims < 3 && isalnum((unsigned char)s[1]));
        o.dim[o.n_dims++] = s[1];
    }
    HONE_ASSERT(*s == ']');
    *adds = 0;
    for (s++; *s && *s != ' ';) {
        const char c = *s++;
        if (c == '?') o.opt = 1;
        else if (c == '+') *adds = 1;
        else if (c == '@') {
            const size_t length = strcspn(s, " ?+@");
            o.shares = (int8_t)(find_name(op->in, op->n_in, s, length) + 1);
            HONE_ASSERT(o.shares > 0);
            s += length;
        } else {
            HONE_ASSERT(strchr("fikr*", c) && !o.type);
            o.type = c;
        }
    }
    *p = s + strspn(s, " ");
    return o;
}

/* The inputs that results add into, behind the others. They are made once all results are known, so that @x
 * names an input of the line. */
static void append_plus_inputs(hone_op_info *op, const int *adds) {
    for (int i = 0; i < op->n_out; i++) {
        if (!adds[i]) continue;
        HONE_ASSERT(op->n_in < HONE_MAX_IN);
        hone_operand plus = op->out[i];
        memmove(plus.name + 1, op->out[i].name, sizeof plus.name - 1);
        plus.name[0] = '+';
        plus.opt = 1;
        plus.shares = 0;
        plus.adds = (int8_t)(i + 1);
        op->in[op->n_in++] = plus;
        op->n_plus++;
        op->out[i].adds = (int8_t)op->n_in;
    }
}

static void read_lines(void) {
    for (int i = 0; i < HONE_N_OPS; i++) {
        hone_op_info *op = &ops[i];
        int adds[HONE_MAX_OUT] = {0};
        const char *p = op->line;
        while (strncmp(p, "-> ", 3)) {
            HONE_ASSERT(*p && op->n_in < HONE_MAX_IN);
            int add;
            op->in[op->n_in] = read_operand(op, &p, &add);
            HONE_ASSERT(!add && !op->in[op->n_in].shares);
            op->n_in++;
        }
        for (p += 3; *p;) {
            HONE_ASSERT(op->n_out < HONE_MAX_OUT);
            op->out[op->n_out] = read_operand(op, &p, &adds[op->n_out]);
            op->n_out++;
        }
        append_plus_inputs(op, adds);
    }
}

const hone_op_info *hone_op_find(hone_op op) {
    pthread_once(&ops_read, read_lines);
    return (unsigned)op < HONE_N_OPS ? &ops[op] : NULL;
}

int hone_op_by_name(const char *name) {
    for (int i = 0; i < HONE_N_OPS; i++)
        if (!strcmp(ops[i].name, name)) return i;
    return -1;
}

int hone_op_operand(const hone_op_info *op, const char *name) {
    const size_t length = strlen(name);
    const int in = find_name(op->in, op->n_in, name, length),
              out = find_name(op->out, op->n_out, name, length);
    return in >= 0 ? in : out >= 0 ? op->n_in + out : -1;
}
