/* linear.cu - matrix products by cuBLASLt. */
#include "products.cuh"

hone_status products_open(hone_device *, hone_err *) { return HONE_OK; }
void products_close(hone_device *) {}
hone_status products_choose(hone_device *, const hone_query *, void **out, hone_err *) {
    *out = NULL;
    return HONE_OK;
}
