#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "make.h"

static hone_status open_folder(const char *folder, hone_err *err) {
    weights *w;
    const hone_status status = weights_open(&w, folder, err);
    if (!status) weights_close(w);
    return status;
}
#define T(name, begin, end)                                                                                  \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" #begin "," #end "]}"
#define INDEX "model.safetensors.index.json"

/* Two good shards: a and b in one, c in two. */
static const char *make_shards(const char *map) {
    const char *folder = test_folder();
    make_safetensors(folder, "one.safetensors", "{" T("a", 0, 4) "," T("b", 4, 8) "}", 8);
    make_safetensors(folder, "two.safetensors", "{" T("c", 0, 4) "}", 4);
    make_text(folder, INDEX, map);
    return folder;
}
#define A_B "\"a\":\"one.safetensors\",\"b\":\"one.safetensors\""

TEST(weights_shards_are_read_as_one_model) {
    weights *w;
    const char *folder =
        make_shards("{\"metadata\":{\"total_size\":12},\"weight_map\":{" A_B ",\"c\":\"two.safetensors\"}}");
    CHECK_OK(weights_open(&w, folder, err));
    CHECK_INT(w->n, 3);
    CHECK_INT(w->n_files, 2);
    const int b = weights_find(w, "b");
    unsigned char first = 0;
    CHECK_OK(safetensors_read(w->of[b], w->tensor[b], 0, &first, 1, err));
    CHECK_INT(first, 4);
    CHECK_INT(weights_find(w, "d"), -1);
    CHECK_OK(weights_unchanged(w, err));
    weights_close(w);
}

TEST(weights_an_index_that_shards_contradict_is_refused) {
#define REFUSE(map, text) CHECK_REFUSED(open_folder(make_shards(map), err), HONE_EDAMAGED, text)
    REFUSE("{\"weight_map\":{" A_B ",\"c\":\"three.safetensors\"}}",
           INDEX ": shard three.safetensors is missing");
    REFUSE("{\"weight_map\":{" A_B ",\"c\":\"one.safetensors\"}}",
           INDEX ": tensor \"c\" is not in its shard one.safetensors");
    REFUSE("{\"weight_map\":{\"a\":\"one.safetensors\",\"c\":\"two.safetensors\"}}",
           INDEX ": tensor \"b\" of one.safetensors is not in the index");
    REFUSE("{\"metadata\":{\"total_size\":13},\"weight_map\":{" A_B ",\"c\":\"two.safetensors\"}}",
           INDEX ": byte 26 (metadata.total_size): 13, the shards hold 12 bytes");
    REFUSE("{\"metadata\":{\"total_size\":\"12\"},\"weight_map\":{" A_B ",\"c\":\"two.safetensors\"}}",
           INDEX ": byte 26 (metadata.total_size): text, expected bytes");
    REFUSE("{\"weight_map\":{}}", INDEX ": expected an object weight_map");
    REFUSE("[]", INDEX ": expected an object weight_map");
    const char *folder = make_shards("{\"weight_map\":{" A_B ",\"c\":\"two.safetensors\"}}");
    make_safetensors(folder, "two.safetensors", "{" T("c", 0, 4) "," T("a", 4, 8) "}", 8);
    hone_err err = {0};
    CHECK_INT(open_folder(folder, &err), HONE_EDAMAGED);
    CHECK(strstr(err.text, ": tensor \"a\" is in two shards, one.safetensors and two.safetensors"));
}

TEST(weights_shard_names_must_be_plain_file_names) {
    static const char *const names[] = {
        "../x.safetensors", "/etc/x.safetensors", "https://h/x.safetensors", "", "x.bin",
        ".safetensors",     ".x.safetensors",     "a b.safetensors"};
    char map[800], expected[200], longest[320];
    for (int i = 0; i < 8; i++) {
        snprintf(map, sizeof map, "{\"weight_map\":{\"a\":\"%s\"}}", names[i]);
        snprintf(expected, sizeof expected,
                 INDEX ": byte 19: shard name \"%s\" must be a plain file name in this folder", names[i]);
        CHECK_REFUSED(open_folder(make_shards(map), err), HONE_EDAMAGED, expected);
    }
    memset(longest, 'x', 300);
    strcpy(longest + 300, ".safetensors");
    snprintf(map, sizeof map, "{\"weight_map\":{\"a\":\"%s\"}}", longest);
    CHECK_REFUSED(open_folder(make_shards(map), err), HONE_EDAMAGED,
                  "...\" must be a plain file name in this folder");
    REFUSE("{\"weight_map\":{\"a\":1}}", INDEX ": byte 19: a number, expected a file name");
}

TEST(weights_pipes_devices_and_links_outside_are_refused) {
    char folder[600], outside[700], path[700];
    snprintf(folder, sizeof folder, "%s/model", test_folder());
    CHECK(!mkdir(folder, 0755));
    snprintf(outside, sizeof outside, "%s/outside.safetensors", test_folder());
    make_safetensors(test_folder(), "outside.safetensors", "{" T("a", 0, 4) "}", 4);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    CHECK(!symlink(outside, path));
    CHECK_REFUSED(open_folder(folder, err), HONE_EDAMAGED,
                  "/model/model.safetensors: resolves outside the model folder, refused");
    CHECK(!unlink(path) && !symlink("/dev/zero", path));
    CHECK_REFUSED(open_folder(folder, err), HONE_EDAMAGED,
                  "/model/model.safetensors: resolves outside the model folder, refused");
    CHECK(!unlink(path) && !mkfifo(path, 0600));
    CHECK_REFUSED(open_folder(folder, err), HONE_EDAMAGED, "/model/model.safetensors: not a regular file");
    CHECK(!unlink(path) && !mkdir(path, 0755));
    CHECK_REFUSED(open_folder(folder, err), HONE_EDAMAGED, "/model/model.safetensors: not a regular file");
    CHECK(!rmdir(path));
    make_safetensors(folder, "real.safetensors", "{" T("a", 0, 4) "}", 4);
    CHECK(!symlink("real.safetensors", path));
    CHECK_OK(open_folder(folder, err));
}

TEST(weights_a_snapshot_of_the_hubs_cache_may_link_to_its_blobs) {
    const char *root = test_folder();
    const char *const folders[] = {"repo", "repo/blobs", "repo/snapshots", "repo/snapshots/abc", "other"};
    for (int i = 0; i < 5; i++) CHECK(!mkdir(make_path(root, folders[i]), 0755));
    make_safetensors(root, "repo/blobs/123", "{" T("a", 0, 4) "}", 4);
    make_safetensors(root, "other/456", "{" T("a", 0, 4) "}", 4);
    const char *path = make_path(root, "repo/snapshots/abc/model.safetensors");
    CHECK(!symlink("../../blobs/123", path));
    CHECK_OK(open_folder(make_path(root, "repo/snapshots/abc"), err));
    CHECK(!unlink(path) && !symlink("../../../other/456", path));
    CHECK_REFUSED(open_folder(make_path(root, "repo/snapshots/abc"), err), HONE_EDAMAGED,
                  ": resolves outside the model folder, refused");
}

TEST(weights_a_folder_without_them_says_what_it_has_instead) {
    const char *folder = test_folder();
    CHECK_REFUSED(open_folder(folder, err), HONE_EDAMAGED, ": no model.safetensors and no " INDEX);
    make_text(folder, "model.onnx", "x");
    CHECK_REFUSED(open_folder(folder, err), HONE_EDAMAGED, ": only model.onnx; expected model.safetensors");
    make_text(folder, "pytorch_model.bin", "x");
    CHECK_REFUSED(open_folder(folder, err), HONE_EDAMAGED,
                  ": pytorch_model.bin is a pickle file: loading can run code, refused");
    CHECK_REFUSED(open_folder(make_path(folder, "none"), err), HONE_EDAMAGED,
                  "/none: no such folder; expected a model folder");
}
