/* cudnn.cu - cuDNN opened, and its plans chosen. What has been shown: every case of kernels/cases that cuDNN can
 * play, through this code and the emulated library (kernels/emu/cudnn.cpp); and that cuDNN 9.19 and 9.26
 * themselves make plans for sm_90 of these graphs (tests/emu/cudnn.cpp). What has not: nothing of it has run on a
 * GPU. */
#include "cudnn.cuh"
#include "cudnn_norm_graph.cuh"

#include <stdio.h>

#include <memory>
#include <string>
#include <vector>
#ifndef HONE_EMULATED
#include <dlfcn.h>
#endif

struct cudnn_state {
    cudnn_library lib;
    void *handle; /* NULL: why there is none */
    std::string missing;
    std::vector<std::unique_ptr<cudnn_choice>> choices;
    std::vector<std::string> said;
};

/* ---- the library -----------------------------------------------------------------------------------------------*/
#ifdef HONE_EMULATED
static void *open_library(std::string *why) {
    static int emulated;
    if (cuemu::cudnn_is_there()) return &emulated;
    *why = "this machine has no libcudnn.so.9";
    return NULL;
}
static void *symbol(void *, const char *name) { return cuemu::cudnn_symbol(name); }
#else
static void *open_library(std::string *why) {
    void *library = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
    const char *said = library ? NULL : dlerror();
    if (!library) *why = std::string("this machine has no libcudnn.so.9 (") + (said ? said : "?") + ")";
    return library;
}
static void *symbol(void *library, const char *name) { return dlsym(library, name); }
#endif

static std::string version_words(size_t version) {
    return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
           std::to_string(version % 100);
}

static void open_state(cudnn_state *s) {
    const char *name = NULL;
    void *library = open_library(&s->missing);
    if (!library) return;
    if (!cudnn_bind(&s->lib, symbol, library, &name)) {
        s->missing = std::string("libcudnn.so.9 has no ") + name;
        return;
    }
    const size_t version = s->lib.version();
    if (version < CUDNN_LEAST) {
        s->missing =
            "cuDNN is " + version_words(version) + "; expected " + version_words(CUDNN_LEAST) + " or later";
        return;
    }
    const dnn::status status = s->lib.open(&s->handle);
    if (status != dnn::STATUS_SUCCESS)
        s->handle = NULL, s->missing = std::string("cuDNN does not open: ") + s->lib.words(status);
}

static cudnn_state *state_of(hone_device *d) {
    if (!d->cudnn) open_state(d->cudnn = new cudnn_state());
    return d->cudnn;
}

void cudnn_close(hone_device *d) {
    if (!d->cudnn) return;
    for (auto &c : d->cudnn->choices) cudnn_plan_free(&c->plan);
    if (d->cudnn->handle) (void)d->cudnn->lib.close(d->cudnn->handle);
    delete d->cudnn;
    d->cudnn = NULL;
}

/* ---- choosing --------------------------------------------------------------------------------------------------*/
static bool is_attention(hone_op op) { return op == HONE_OP_ATTENTION_FWD || op == HONE_OP_ATTENTION_BWD; }

/* Once for each line: layers are alike. */
static void say(hone_device *d, cudnn_state *s, const hone_query *query, const std::string &what) {
    const std::string line = std::string(HONE_DEVICE_NAME ": ") + hone_op_find(query->op)->name + ", " +
                             hone_dtype_name(query->in[0].dtype) + ": " + what;
    for (const std::string &said : s->said)
        if (said == line) return;
    s->said.push_back(line);
    d->host->log(d->host->context, line.c_str());
}

/* Why this device cannot, whatever the library says; or NULL. */
static const char *unfit(const hone_device *d, const hone_query *query) {
    if (query->op == HONE_OP_ATTENTION_BWD && d->properties.major != 9)
        return "its backward adds in one order on compute capability 9.0 alone, and elsewhere would give "
               "other bits at every run";
    return NULL;
}

static cudnn_choice *find_plan(cudnn_state *s, const hone_query *query, std::string *why) {
    cudnn_graph g = cudnn_graph_begin(&s->lib);
    std::unique_ptr<cudnn_choice> c(new cudnn_choice());
    c->key = {query->op, query->in[0].dtype};
    if (is_attention(query->op)) {
        cudnn_attention_describe(query, &g, &c->key);
        c->extents = cudnn_extents_of(query);
    } else {
        cudnn_norm_describe(query, &g, &c->key);
        c->rows = query->in[0].dim[0];
    }
    c->op = query->op;
    for (const auto &other : s->choices)
        if (other->key == c->key) {
            c->plan.lib = &s->lib, c->plan.owned = std::move(g.owned);
            cudnn_plan_free(&c->plan);
            return other.get();
        }
    if (!cudnn_plan_make(&c->plan, &g, s->handle, NULL, cudnn_plan_bytes(query), why)) return NULL;
    if (!c->plan.is_ordered) {
        cudnn_plan_free(&c->plan);
        *why = "its engines for this call add in no fixed order";
        return NULL;
    }
    s->choices.push_back(std::move(c));
    return s->choices.back().get();
}

hone_status cudnn_choose(hone_device *d, const hone_query *query, void **out, hone_err *err) {
    const bool is_asked = query->attr.engine == HONE_ENGINE_CUDNN;
    std::string why;
    *out = NULL;
    if (!is_asked && !(is_attention(query->op) && d->properties.major == 9 && cudnn_is_preferred(query)))
        return HONE_OK;
    cudnn_state *s = state_of(d);
    const char *fault = unfit(d, query);
    if (fault) why = fault;
    else if (!s->handle) why = s->missing;
    else *out = find_plan(s, query, &why);
    if (*out) {
        say(d, s, query,
            "cuDNN " + version_words(s->lib.version()) +
                (!is_attention(query->op) ? " plays, as asked for; bias, dropout and residual are apart from it"
                 : is_asked               ? " plays, as asked for"
                          : " plays: sequences may be longer than " + std::to_string(CUDNN_FROM_LENGTH)));
        return HONE_OK;
    }
    if (!is_asked) {
        say(d, s, query, "hone's own kernels play, though cuDNN may be faster for long sequences: " + why);
        return HONE_OK;
    }
    hone_fail(err, HONE_EUSAGE, HONE_DEVICE_NAME ": %s by cuDNN: %.200s", hone_op_find(query->op)->name,
              why.c_str());
    const char *field = is_attention(query->op) ? "attention" : "layernorm";
    return s->handle ? hone_hint(err, "choose \"%s\": \"hone\", whose kernels play this everywhere", field)
                     : hone_hint(err,
                                 "install cuDNN 9 (NVIDIA's package libcudnn9-cuda-13, or LD_LIBRARY_PATH=$(scripts/cuda/"
                                 "toolkit --cudnn)), or choose \"%s\": \"hone\"",
                                 field);
}

/* ---- playing ---------------------------------------------------------------------------------------------------*/
hone_status cudnn_play(hone_queue *q, const hone_call *c, const cudnn_binding *bindings, int n,
                       void *workspace) {
    const cudnn_choice *choice = (const cudnn_choice *)c->choice;
    std::string why;
    const hone_status status =
        cudnn_plan_play(&choice->plan, q->device->cudnn->handle, q->stream, bindings, n, workspace, &why);
    if (!status) return HONE_OK;
    const std::string line =
        std::string(HONE_DEVICE_NAME ": ") + hone_op_find(c->op)->name + " by cuDNN failed: " + why;
    q->device->host->log(q->device->host->context, line.c_str());
    return status;
}
