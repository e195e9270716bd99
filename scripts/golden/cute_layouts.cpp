// cute_layouts.cpp - print the fragment layouts of mma.m16n8k16 and ldmatrix.x4 as CuTe's traits state them. Built and run
// by the script cute_layouts beside it; nothing of hone includes CuTe.
#include <cute/tensor.hpp>
#include <cute/atom/copy_traits_sm75.hpp>
#include <cute/atom/mma_traits_sm80.hpp>

#include <cstdio>

using namespace cute;

// A line a lane: for each of its elements, in the order of its registers, row * columns + column. CuTe's are
// column-major.
template <class L> static void print_mma(const char *name, L layout, int n, int rows, int columns) {
    std::printf("%s %d\n", name, n);
    for (int lane = 0; lane < 32; lane++)
        for (int v = 0; v < n; v++) {
            const int at = layout(lane, v);
            std::printf("%d%c", at % rows * columns + at / rows, v + 1 < n ? ' ' : '\n');
        }
}
// A line a lane: for each of its 8 elements, address-giving lane * 8 + element of that lane's row. CuTe counts bits.
template <class Traits> static void print_ldmatrix(const char *name) {
    typename Traits::SrcLayout from;
    typename Traits::DstLayout to;
    int owner[4096];
    for (int lane = 0; lane < 32; lane++)
        for (int bit = 0; bit < 128; bit++) owner[from(lane, bit)] = lane * 128 + bit;
    std::printf("%s 8\n", name);
    for (int lane = 0; lane < 32; lane++)
        for (int e = 0; e < 8; e++) std::printf("%d%c", owner[to(lane, 16 * e)] / 16, e < 7 ? ' ' : '\n');
}

int main() {
    using Mma = MMA_Traits<SM80_16x8x16_F32BF16BF16F32_TN>;
    print_mma("a", typename Mma::ALayout{}, 8, 16, 16);
    print_mma("b", typename Mma::BLayout{}, 4, 8, 16);
    print_mma("c", typename Mma::CLayout{}, 4, 16, 8);
    print_ldmatrix<Copy_Traits<SM75_U32x4_LDSM_N>>("ldmatrix");
    print_ldmatrix<Copy_Traits<SM75_U16x8_LDSM_T>>("ldmatrix.trans");
}
