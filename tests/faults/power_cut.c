/* Records what a process does to the files below one directory, in order, so that a disk can be rebuilt from it.
 *
 * Preloaded into a process: POWER_CUT_DIRECTORY is the directory (absolute, no links), POWER_CUT_JOURNAL the file that
 * the records are appended to. Lines that the process writes to its standard output are records too: what it claims has
 * its place among what it wrote. Files that end in -shm are left out, SQLite makes them again after a crash.
 * One record: struct record, `path` bytes of a path below the directory, `length` bytes of data for WRITE, RENAME, LINE.
 * For 64-bit Linux: off_t and off64_t are one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8 && sizeof(long) == 8, "64-bit systems only");

enum { OPEN = 'o', CREATE = 'c', WRITE = 'w', TRUNCATE = 't', UNLINK = 'u', RENAME = 'r', MKDIR = 'm', SYNC = 's', LINE = 'l' };

struct record {
    uint8_t kind;
    uint8_t unused[3];
    uint32_t path;
    uint64_t inode;
    uint64_t offset;
    uint64_t length;
};

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static bool watched[1 << 16];
static const char *directory;
static size_t directory_length;
static int journal = -1;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("POWER_CUT_JOURNAL");
    directory = getenv("POWER_CUT_DIRECTORY");
    if (path == NULL || directory == NULL) return;
    directory_length = strlen(directory);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    /* Out of the way of those who expect low numbers. */
    journal = fcntl(fd, F_DUPFD_CLOEXEC, 900);
    if (journal < 0) abort();
    syscall(SYS_close, fd);
}

/* The path below the directory ("" for itself), or NULL for what is not recorded. */
static const char *below(const char *path) {
    if (journal < 0 || strncmp(path, directory, directory_length) != 0) return NULL;
    const char *rest = path + directory_length;
    if (*rest != '\0' && *rest != '/') return NULL;
    size_t length = strlen(rest);
    if (length >= 4 && strcmp(rest + length - 4, "-shm") == 0) return NULL;
    return *rest == '/' ? rest + 1 : rest;
}

static bool is_watched(int fd) {
    return fd >= 0 && fd < (int)(sizeof watched / sizeof *watched) && watched[fd];
}

static void put(int kind, int fd, const char *path, uint64_t offset, const void *data, size_t length) {
    int kept = errno;
    struct stat file = {0};
    if (fd >= 0) fstat(fd, &file);
    struct record head = {.kind = (uint8_t)kind, .path = (uint32_t)strlen(path), .inode = file.st_ino, .offset = offset, .length = length};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)path, head.path}, {(void *)data, length}};
    /* Half a record would spoil all that follows. */
    if (syscall(SYS_writev, journal, parts, 3) != (long)(sizeof head + head.path + length)) abort();
    errno = kept;
}

static int opened(int at, const char *path, int flags, mode_t mode) {
    const char *rest = path[0] == '/' ? below(path) : NULL;
    if (rest == NULL) return (int)syscall(SYS_openat, at, path, flags, mode);
    pthread_mutex_lock(&order);
    bool is_new = (flags & O_CREAT) && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0) {
        if (fd >= (int)(sizeof watched / sizeof *watched)) abort();
        watched[fd] = true;
        put(is_new ? CREATE : OPEN, fd, rest, 0, NULL, 0);
        if ((flags & O_TRUNC) && !is_new) put(TRUNCATE, fd, "", 0, NULL, 0);
    }
    pthread_mutex_unlock(&order);
    return fd;
}

#define MODE(flags, mode) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags, mode) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags, mode) return opened(at, path, flags, mode); }

int close(int fd) {
    if (is_watched(fd)) watched[fd] = false;
    return (int)syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *data, size_t length) {
    bool line = fd == STDOUT_FILENO && journal >= 0;
    if (!line && !is_watched(fd)) return syscall(SYS_write, fd, data, length);
    pthread_mutex_lock(&order);
    ssize_t done = syscall(SYS_write, fd, data, length);
    if (done > 0 && line) put(LINE, -1, "", 0, data, (size_t)done);
    else if (done > 0) put(WRITE, fd, "", (uint64_t)(syscall(SYS_lseek, fd, 0, SEEK_CUR) - done), data, (size_t)done);
    pthread_mutex_unlock(&order);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) {
    if (!is_watched(fd)) return syscall(SYS_pwrite64, fd, data, length, offset);
    pthread_mutex_lock(&order);
    ssize_t done = syscall(SYS_pwrite64, fd, data, length, offset);
    if (done > 0) put(WRITE, fd, "", (uint64_t)offset, data, (size_t)done);
    pthread_mutex_unlock(&order);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) {
    if (!is_watched(fd)) return syscall(SYS_pwritev, fd, parts, count, offset, 0);
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = pwrite64(fd, parts[i].iov_base, parts[i].iov_len, offset + total);
        if (done < 0) return total > 0 ? total : done;
        total += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return total;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return pwritev64(fd, parts, count, offset); }

int ftruncate64(int fd, off_t size) {
    if (!is_watched(fd)) return (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&order);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0) put(TRUNCATE, fd, "", (uint64_t)size, NULL, 0);
    pthread_mutex_unlock(&order);
    return result;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int posix_fallocate64(int fd, off_t offset, off_t length) {
    int kept = errno, error = 0;
    pthread_mutex_lock(&order);
    if (syscall(SYS_fallocate, fd, 0, offset, length) != 0) error = errno;
    /* A write of nothing at its end: it makes the file as long, and holds no data. */
    else if (is_watched(fd)) put(WRITE, fd, "", (uint64_t)(offset + length), NULL, 0);
    pthread_mutex_unlock(&order);
    errno = kept;
    return error;
}

int posix_fallocate(int fd, off_t offset, off_t length) { return posix_fallocate64(fd, offset, length); }

static int synced(int fd, long call) {
    if (!is_watched(fd)) return (int)syscall(call, fd);
    /* Nothing may be written meanwhile: it would count as synced. */
    pthread_mutex_lock(&order);
    int result = (int)syscall(call, fd);
    if (result == 0) put(SYNC, fd, "", 0, NULL, 0);
    pthread_mutex_unlock(&order);
    return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int unlink(const char *path) {
    const char *rest = below(path);
    if (rest == NULL) return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    pthread_mutex_lock(&order);
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (result == 0) put(UNLINK, -1, rest, 0, NULL, 0);
    pthread_mutex_unlock(&order);
    return result;
}

int rename(const char *from, const char *to) {
    const char *rest = below(from), *rest_to = below(to);
    if (rest == NULL || rest_to == NULL) return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    pthread_mutex_lock(&order);
    int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (result == 0) put(RENAME, -1, rest, 0, rest_to, strlen(rest_to));
    pthread_mutex_unlock(&order);
    return result;
}

int mkdir(const char *path, mode_t mode) {
    const char *rest = below(path);
    if (rest == NULL) return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    pthread_mutex_lock(&order);
    int result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (result == 0) put(MKDIR, -1, rest, 0, NULL, 0);
    pthread_mutex_unlock(&order);
    return result;
}
