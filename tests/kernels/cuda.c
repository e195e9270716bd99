/* cuda.c - the kernels on a GPU against ref: a test for each family of ops, as emu.c has them without one. They are
 * skipped where libhone_cuda.so was not built or no GPU answers. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices.h"
#include "test.h"

static const char *plugin(void) {
    static char file[512];
    snprintf(file, sizeof file, "%s/lib/hone/libhone_cuda.so", HONE_BUILD_FOLDER);
    if (access(file, F_OK)) test_skip("the device cuda was not built");
    return file;
}

/* A driver's control file is there, so a GPU has to answer (WSL has dxg). */
static int has_driver(void) { return !access("/dev/nvidiactl", F_OK) || !access("/dev/dxg", F_OK); }

TEST(cuda_opens_or_says_what_is_missing) {
    plugin();
    hone_err err = {.text = ""};
    const hone_device_v1 *table = device_load("cuda", &err);
    if (!table) test_fail(__FILE__, __LINE__, "%s", err.text);
    CHECK_STR(table->name, "cuda");
    hone_device *device = NULL;
    pool *threads = pool_new(1);
    const hone_status status = table->open(&device, pool_host(threads), 0, &err);
    if (!has_driver()) {
        CHECK(status == HONE_EUSAGE);
        CHECK(!strncmp(err.text, "cuda: this machine has no NVIDIA driver; expected one for CUDA 1", 64));
    } else if (status) test_fail(__FILE__, __LINE__, "%s", err.text);
    else table->close(device);
    pool_free(threads);
}

TEST(cuda_check_without_a_gpu_says_so_and_ends_with_77) {
    if (has_driver()) test_skip("there is a GPU");
    char command[600], line[200] = "", more[200];
    snprintf(command, sizeof command, "\"%s\"", test_source("scripts/gpu-check"));
    FILE *out = popen(command, "r");
    CHECK(out && fgets(line, sizeof line, out) && !fgets(more, sizeof more, out));
    CHECK_STR(line, "gpu-check: no GPU answers here (nvidia-smi); nothing was checked\n");
    const int status = pclose(out);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 77);
}

/* Every option, test, job and tool that scripts/gpu-check would ask for is there: it runs where nobody looks. */
TEST(cuda_check_asks_for_nothing_that_is_not_there) {
    char command[1200], line[400], first[400] = "";
    int n = 0;
    if (access(HONE_BUILD_FOLDER "/bin/hone", X_OK)) test_skip("bin/hone is not built");
    if (access(HONE_BUILD_FOLDER "/bin/test_kernels", X_OK)) test_skip("bin/test_kernels is not built");
    snprintf(command, sizeof command, "BUILD=\"%s\" \"%s\" --dry-run 2>&1", HONE_BUILD_FOLDER,
             test_source("scripts/gpu-check"));
    FILE *out = popen(command, "r");
    CHECK(out != NULL);
    while (fgets(line, sizeof line, out)) {
        n += strstr(line, " known ") != NULL;
        if (!*first && !strstr(line, " known ") && !strstr(line, " not run "))
            snprintf(first, sizeof first, "%s", line);
    }
    const int status = pclose(out);
    if (!WIFEXITED(status) || WEXITSTATUS(status)) test_fail(__FILE__, __LINE__, "%s", first);
    CHECK(n > 40);
}

#define AGREES(family, first, last)                                                                          \
    TEST(cuda_agrees_with_ref_on_##family) {                                                                 \
        plugin();                                                                                            \
        if (!has_driver()) test_skip("no GPU answers");                                                      \
        const cases_on on = devices_open("cuda");                                                            \
        devices_play(&on, HONE_OP_##first, HONE_OP_##last, CASES_CHECK);                                     \
    }

AGREES(embeddings, EMBED_FWD, EMBED_BWD)
AGREES(norms, NORM_FWD, NORM_BWD)
AGREES(products, LINEAR_FWD, LINEAR_BWD_W)
AGREES(activations, ACT_FWD, ADD)
AGREES(attention_forward, ATTENTION_FWD, ATTENTION_FWD)
AGREES(attention_backward, ATTENTION_BWD, ATTENTION_BWD)
AGREES(gathers_and_pools, GATHER, POOL_BWD)
AGREES(softmax, SOFTMAX_FWD, SOFTMAX_BWD)
AGREES(losses, XENT, SPAN_XENT)
AGREES(reductions, SUM, SQSUM)
AGREES(the_optimizer, GUARD, ADAMW_STEP)
AGREES(bits_and_conversions, HASH, COPY)
