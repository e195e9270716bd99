/* json_print.c - a tree back to text. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/json_print.h"

void json_print_real(text *out, double x) {
    char digits[40];
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, x);
        if (strtod(digits, NULL) == x) break;
    }
    char *point = strstr(digits, localeconv()->decimal_point);
    if (point) *point = '.';
    text_str(out, digits);
    if (!strpbrk(digits, ".e")) text_str(out, ".0");
}

void json_indent(text *out, int depth) { text_printf(out, "\n%*s", 2 * depth, ""); }

static void print_children(text *out, const json *value, int depth, int floats) {
    const int object = value->kind == JSON_OBJECT;
    text_str(out, object ? "{" : "[");
    for (const json *item = value->child; item; item = item->next) {
        json_indent(out, depth + 1);
        if (object) {
            text_json(out, item->key.p, item->key.n);
            text_str(out, ": ");
        }
        json_print(out, item, depth + 1, floats);
        if (item->next) text_str(out, ",");
    }
    if (value->n) json_indent(out, depth);
    text_str(out, object ? "}" : "]");
}

void json_print(text *out, const json *value, int depth, int floats) {
    switch (value->kind) {
    case JSON_NULL:
        text_str(out, "null");
        break;
    case JSON_BOOL:
        text_str(out, value->boolean ? "true" : "false");
        break;
    case JSON_NUMBER:
        if (value->is_int && !floats) text_printf(out, "%lld", (long long)value->integer);
        else json_print_real(out, value->number);
        break;
    case JSON_STRING:
        text_json(out, value->string.p, value->string.n);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        print_children(out, value, depth, floats);
        break;
    }
}
