# The CUDA sources, built twice: for a GPU by nvcc (HONE_CUDA), and always as plain C++ against kernels/emu.
file(GLOB FILES_cuda CONFIGURE_DEPENDS kernels/cuda/*.cu)
file(GLOB FILES_emu CONFIGURE_DEPENDS kernels/emu/*.cpp)

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g3")
set_source_files_properties(${FILES_cuda} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-xc++")
add_library(hone_emu_device MODULE ${FILES_cuda} ${FILES_emu} kernels/cuda/limits.c)
set_target_properties(hone_emu_device PROPERTIES OUTPUT_NAME hone_emu C_VISIBILITY_PRESET hidden
  CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/hone)
target_include_directories(hone_emu_device BEFORE PRIVATE kernels/emu kernels/cuda kernels include)
target_compile_definitions(hone_emu_device PRIVATE HONE_DEVICE_NAME="emu" HONE_EMULATED
  $<$<CONFIG:Debug>:HONE_WAITS=1>)
target_compile_options(hone_emu_device PRIVATE -ffp-contract=off -Wno-unknown-pragmas)
target_link_libraries(hone_emu_device PRIVATE hone_flags hone_words Threads::Threads m)
target_link_options(hone_emu_device PRIVATE -Wl,--exclude-libs,ALL)
list(APPEND HONE_DEVICES hone_emu_device)
add_custom_target(hone_emu)
add_dependencies(hone_emu hone_emu_device)
