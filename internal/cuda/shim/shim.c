/* Finds CUDA's libraries when they are first called. The program that links this needs none of them to start. */
#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>
#include <glob.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { driver = CUDA_SHIM_DRIVER, cudnn = CUDA_SHIM_CUDNN, cublas = CUDA_SHIM_CUBLAS, cublasLt = CUDA_SHIM_CUBLASLT };

static const struct {
    unsigned char library;
    const char *name;
} symbols[] = {
#define SYMBOL(library, name) {library, #name},
#include "symbols.def"
#undef SYMBOL
};
enum { symbol_count = sizeof symbols / sizeof symbols[0] };

extern void *cuda_shim_slots[symbol_count] __attribute__((visibility("hidden")));

/* Only the major versions that the headers of this build are of: others have other numbers for the same things. The file
 * that the variable names comes first, then the loader's own search, then these folders. */
#ifndef SLIPWAY_CUBLAS_MAJOR
#error "define SLIPWAY_CUBLAS_MAJOR: scripts/build-cuda-shim does"
#endif
#define TEXT(x) #x
#define VERSIONED(name, major) name "." TEXT(major)
static const struct {
    const char *variable, *file;
} libraries[CUDA_SHIM_LIBRARIES] = {
    [driver] = {"SLIPWAY_CUDA_DRIVER", "libcuda.so.1"},
    [cudnn] = {"SLIPWAY_CUDNN", "libcudnn.so.9"},
    [cublas] = {"SLIPWAY_CUBLAS", VERSIONED("libcublas.so", SLIPWAY_CUBLAS_MAJOR)},
    [cublasLt] = {"SLIPWAY_CUBLASLT", VERSIONED("libcublasLt.so", SLIPWAY_CUBLAS_MAJOR)},
};
static const char *const folders[] = {"/usr/local/cuda/lib64", "/usr/lib/wsl/lib"};

/* Behind those, where Python's packages lie: PyTorch brings NVIDIA's libraries there, in folders that the loader does not
 * search. The first word is a variable that the folder begins with. */
static const struct {
    const char *variable, *rest;
} environments[] = {
    {"VIRTUAL_ENV", "/lib/python3*/site-packages"},
    {"CONDA_PREFIX", "/lib/python3*/site-packages"},
    {"PYTHONUSERBASE", "/lib/python3*/site-packages"},
    {"HOME", "/.local/lib/python3*/site-packages"},
    {0, "/usr/local/lib/python3*/site-packages"},
    {0, "/usr/local/lib/python3*/dist-packages"},
    {0, "/usr/lib/python3*/site-packages"},
    {0, "/usr/lib/python3/dist-packages"},
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    int tried;
    void *handle;
    char path[4096], reason[1024];
    char missing[1024]; /* names of entry points */
} loaded[CUDA_SHIM_LIBRARIES];

/* What an entry point answers when it cannot be had: the library's own "not initialized". */
static int no_driver(void) { return CUDA_SHIM_NO_DRIVER; }
static int no_cudnn(void) { return CUDA_SHIM_NO_CUDNN; }
static int no_cublas(void) { return CUDA_SHIM_NO_CUBLAS; }
static int (*const absent[CUDA_SHIM_LIBRARIES])(void) = {[driver] = no_driver, [cudnn] = no_cudnn, [cublas] = no_cublas, [cublasLt] = no_cublas};
/* Those that answer a text. */
static const char *no_text(void) { return ""; }
static int is_text(const char *name) { return strstr(name, "GetErrorString") || strstr(name, "GetStatusName"); }

/* try_file loads one file; the first failure's reason is kept, which is that of the place looked at first. */
static int try_file(int library, const char *file) {
    void *handle = dlopen(file, RTLD_NOW | RTLD_GLOBAL);
    if (!handle) {
        const char *reason = dlerror();
        if (!loaded[library].reason[0]) snprintf(loaded[library].reason, sizeof loaded[library].reason, "%s", reason);
        return 0;
    }
    loaded[library].handle = handle;
    struct link_map *map = 0;
    const char *path = dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map && map->l_name[0] ? map->l_name : file;
    snprintf(loaded[library].path, sizeof loaded[library].path, "%s", path);
    return 1;
}

/* each calls a function with every file of that name in NVIDIA's packages of a folder of packages, until it answers 1. */
static int each(const char *packages, const char *file, int library, int (*call)(int, const char *)) {
    char pattern[4096];
    glob_t found;
    int done = 0;
    snprintf(pattern, sizeof pattern, "%s/nvidia/*/lib/%s", packages, file);
    if (glob(pattern, 0, 0, &found)) return 0; /* nothing is found, or nothing can be read */
    for (size_t i = 0; i < found.gl_pathc && !done; i++) done = call(library, found.gl_pathv[i]);
    globfree(&found);
    return done;
}

static int is_there(int library, const char *file) {
    (void)library, (void)file;
    return 1;
}

/* cuDNN looks for the compiler of its kernels by its bare name, and finds what is loaded already. */
static int preload(int library, const char *file) {
    (void)library;
    return dlopen(file, RTLD_NOW | RTLD_GLOBAL) != 0;
}

/* open_packaged looks in Python's packages. A cuDNN for another CUDA release has the same name: the cuBLAS beside it tells. */
static int open_packaged(int library) {
    for (unsigned i = 0; i < sizeof environments / sizeof environments[0]; i++) {
        const char *begin = environments[i].variable ? getenv(environments[i].variable) : "";
        char pattern[4096];
        glob_t found;
        int done = 0;
        if (!begin || (environments[i].variable && begin[0] != '/')) continue;
        snprintf(pattern, sizeof pattern, "%s%s", begin, environments[i].rest);
        if (glob(pattern, 0, 0, &found)) continue;
        for (size_t k = 0; k < found.gl_pathc && !done; k++) {
            const char *packages = found.gl_pathv[k];
            if (!each(packages, VERSIONED("libcublasLt.so", SLIPWAY_CUBLAS_MAJOR), library, is_there)) continue;
            if (library == cudnn) each(packages, VERSIONED("libnvrtc.so", SLIPWAY_CUBLAS_MAJOR), library, preload);
            done = each(packages, libraries[library].file, library, try_file);
        }
        globfree(&found);
        if (done) return 1;
    }
    return 0;
}

static void *open_library(int library) {
    if (loaded[library].tried) return loaded[library].handle;
    loaded[library].tried = 1;
    const char *own = getenv(libraries[library].variable);
    if (own && *own) {
        try_file(library, own); /* what was named is used, or nothing */
        return loaded[library].handle;
    }
    /* cuBLAS brings the cuBLASLt of its own release, which the loader then knows by its name. */
    if (library == cublasLt) open_library(cublas);
    if (try_file(library, libraries[library].file)) return loaded[library].handle;
    for (unsigned i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folders[i], libraries[library].file);
        if (try_file(library, path)) return loaded[library].handle;
    }
    if (library != driver) open_packaged(library); /* the driver is the machine's */
    return loaded[library].handle;
}

__attribute__((visibility("hidden"))) void *cuda_shim_resolve(unsigned long place) {
    int library = symbols[place].library;
    pthread_mutex_lock(&mutex);
    void *handle = open_library(library);
    void *function = handle ? dlsym(handle, symbols[place].name) : 0;
    if (handle && !function) {
        char *missing = loaded[library].missing;
        size_t used = strlen(missing);
        snprintf(missing + used, sizeof loaded[library].missing - used, "%s%s", used ? " " : "", symbols[place].name);
    }
    pthread_mutex_unlock(&mutex);
    if (!function) function = is_text(symbols[place].name) ? (void *)no_text : (void *)absent[library];
    __atomic_store_n(&cuda_shim_slots[place], function, __ATOMIC_RELEASE);
    return function;
}

/* Package cu calls this from an init function and ends the process unless it answers 0. */
int cuInit(unsigned flags) {
    (void)flags;
    return 0;
}

int cuda_shim_init(void) {
    pthread_mutex_lock(&mutex);
    void *handle = open_library(driver);
    int (*init)(unsigned) = handle ? (int (*)(unsigned))dlsym(handle, "cuInit") : 0;
    pthread_mutex_unlock(&mutex);
    return init ? init(0) : no_driver();
}

const char *cuda_shim_library(int library, char *reason, int size) {
    pthread_mutex_lock(&mutex);
    void *handle = open_library(library);
    snprintf(reason, size, "%s", handle ? "" : loaded[library].reason);
    pthread_mutex_unlock(&mutex);
    return handle ? loaded[library].path : 0;
}

int cuda_shim_symbols(void) { return symbol_count; }

const char *cuda_shim_symbol(int place, int *library) {
    *library = symbols[place].library;
    return symbols[place].name;
}

int cuda_shim_has(int place) {
    pthread_mutex_lock(&mutex);
    void *handle = open_library(symbols[place].library);
    int has = handle && dlsym(handle, symbols[place].name);
    pthread_mutex_unlock(&mutex);
    return has;
}

void cuda_shim_missing(int library, char *names, int size) {
    pthread_mutex_lock(&mutex);
    snprintf(names, size, "%s", loaded[library].missing);
    pthread_mutex_unlock(&mutex);
}
