/* A disk that keeps only what was synced, loaded into a process with LD_PRELOAD.
 *
 * Files under DISK_FROM work as ever, but each has a shadow of the same name under DISK_TO. What is written
 * goes to the shadow when the file is synced, in the order of writing, and not before: when the process is
 * killed, DISK_TO holds what a disk holds after a power loss whose caches were lost. Shared memory (-shm)
 * has no shadow; SQLite makes it anew.
 *
 * DISK_LIES=-wal   syncs of files with this end of their name are answered and not done.
 * DISK_SLOW=5      a sync takes this many milliseconds more.
 * DISK_FAILS=PATH  while this file is there, the next sync of a -wal file removes it and fails with EIO.
 * DISK_REFUSES=PATH  while this file is there, whatever would be written fails with the error whose number it holds.
 * DISK_KILLS=3     the process is killed before it removes or names a file for the third time.
 * DISK_LOCKLESS=1  locks fail with ENOLCK, as on a file system that has none; DISK_LOCKLESS=posix: those of fcntl alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A write, or with bytes NULL the cutting of the file at `at`. */
struct change {
    struct change *next;
    off_t at;
    size_t length;
    char *bytes;
};

/* One per file, however often it is opened. */
struct file {
    struct file *next;
    dev_t device;
    ino_t inode;
    char name[PATH_MAX];
    struct change *first, **last;
};

#define FDS 65536
static struct file *open_files[FDS];
static struct file *files;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static struct file *file_of(int fd) {
    return fd >= 0 && fd < FDS ? __atomic_load_n(&open_files[fd], __ATOMIC_ACQUIRE) : NULL;
}

/* The error that writes fail with now, or 0. */
static int refusal(void) {
    const char *path = getenv("DISK_REFUSES");
    char number[16] = "";
    if (!path) return 0;
    int fd = REAL(open)(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t length = REAL(read)(fd, number, sizeof number - 1);
    REAL(close)(fd);
    return length > 0 ? atoi(number) : 0;
}

/* Whether it was refused. */
static int refused(void) {
    int error = refusal();
    if (error) errno = error;
    return error != 0;
}

static void add(struct file *file, const void *bytes, size_t length, off_t at) {
    struct change *change = malloc(sizeof *change);
    *change = (struct change){.at = at, .length = length};
    if (bytes) {
        change->bytes = malloc(length);
        memcpy(change->bytes, bytes, length);
    }
    *file->last = change;
    file->last = &change->next;
}

static void opened(int fd, int flags) {
    const char *from = getenv("DISK_FROM");
    char link[64], path[PATH_MAX];
    struct stat stat;
    if (fd < 0 || fd >= FDS || !from || (flags & O_ACCMODE) == O_RDONLY) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    size_t prefix = strlen(from);
    if (strncmp(path, from, prefix) != 0 || path[prefix] != '/' || ends_with(path, "-shm") || fstat(fd, &stat) != 0)
        return;
    pthread_mutex_lock(&lock);
    struct file *file = files;
    while (file && (file->device != stat.st_dev || file->inode != stat.st_ino)) file = file->next;
    if (!file) {
        file = calloc(1, sizeof *file);
        *file = (struct file){.next = files, .device = stat.st_dev, .inode = stat.st_ino, .last = &file->first};
        snprintf(file->name, sizeof file->name, "%s", path + prefix + 1);
        files = file;
    }
    if (flags & O_TRUNC) add(file, NULL, 0, 0);
    __atomic_store_n(&open_files[fd], file, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&lock);
}

#define OPEN(call)                                             \
    int call(const char *path, int flags, ...) {               \
        va_list rest;                                          \
        va_start(rest, flags);                                 \
        mode_t mode = flags & O_CREAT ? va_arg(rest, int) : 0; \
        va_end(rest);                                          \
        int fd = REAL(call)(path, flags, mode);                \
        int error = errno;                                     \
        opened(fd, flags);                                     \
        errno = error;                                         \
        return fd;                                             \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    if (file_of(fd)) __atomic_store_n(&open_files[fd], NULL, __ATOMIC_RELEASE);
    return REAL(close)(fd);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct file *file = file_of(fd);
    if (!file) return REAL(write)(fd, bytes, length);
    if (refused()) return -1;
    pthread_mutex_lock(&lock);
    ssize_t written = REAL(write)(fd, bytes, length);
    if (written > 0) add(file, bytes, written, lseek(fd, 0, SEEK_CUR) - written);
    pthread_mutex_unlock(&lock);
    return written;
}

#define PWRITE(call)                                                   \
    ssize_t call(int fd, const void *bytes, size_t length, off_t at) { \
        struct file *file = file_of(fd);                               \
        if (!file) return REAL(call)(fd, bytes, length, at);           \
        if (refused()) return -1;                                      \
        pthread_mutex_lock(&lock);                                     \
        ssize_t written = REAL(call)(fd, bytes, length, at);           \
        if (written > 0) add(file, bytes, written, at);                \
        pthread_mutex_unlock(&lock);                                   \
        return written;                                                \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define FTRUNCATE(call)                          \
    int call(int fd, off_t at) {                 \
        struct file *file = file_of(fd);         \
        if (!file) return REAL(call)(fd, at);    \
        pthread_mutex_lock(&lock);               \
        int result = REAL(call)(fd, at);         \
        if (result == 0) add(file, NULL, 0, at); \
        pthread_mutex_unlock(&lock);             \
        return result;                           \
    }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

/* Brings the shadow up to date. */
static void keep(struct file *file) {
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", getenv("DISK_TO"), file->name);
    int shadow = REAL(open)(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (shadow < 0) abort();
    while (file->first) {
        struct change *change = file->first;
        ssize_t done = change->bytes ? REAL(pwrite)(shadow, change->bytes, change->length, change->at)
                                     : REAL(ftruncate)(shadow, change->at);
        if (done != (ssize_t)change->length) abort();
        file->first = change->next;
        free(change->bytes);
        free(change);
    }
    file->last = &file->first;
    REAL(close)(shadow);
}

#define SYNC(call)                                                                \
    int call(int fd) {                                                            \
        struct file *file = file_of(fd);                                          \
        if (!file) return REAL(call)(fd);                                         \
        const char *lies = getenv("DISK_LIES"), *fails = getenv("DISK_FAILS");    \
        const char *slow = getenv("DISK_SLOW");                                   \
        if (lies && ends_with(file->name, lies)) return 0;                        \
        if (fails && ends_with(file->name, "-wal") && REAL(unlink)(fails) == 0) { \
            errno = EIO;                                                          \
            return -1;                                                            \
        }                                                                         \
        if (slow) usleep(1000 * atoi(slow));                                      \
        pthread_mutex_lock(&lock);                                                \
        int result = REAL(call)(fd);                                              \
        if (result == 0) keep(file);                                              \
        pthread_mutex_unlock(&lock);                                              \
        return result;                                                            \
    }
SYNC(fsync)
SYNC(fdatasync)

/* Another name is about to come or go. */
static void step(void) {
    static int steps;
    const char *kills = getenv("DISK_KILLS");
    if (kills && ++steps == atoi(kills)) raise(SIGKILL);
}

int rename(const char *from, const char *to) {
    step();
    return REAL(rename)(from, to);
}

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
    step();
    return REAL(linkat)(from_directory, from, to_directory, to, flags);
}

/* The name is gone from the disk at once; real ones keep it until the directory is synced, which SQLite does. */
int unlink(const char *path) {
    const char *from = getenv("DISK_FROM");
    size_t prefix = from ? strlen(from) : 0;
    step();
    if (!from || strncmp(path, from, prefix) != 0 || path[prefix] != '/') return REAL(unlink)(path);
    char shadow[2 * PATH_MAX];
    snprintf(shadow, sizeof shadow, "%s%s", getenv("DISK_TO"), path + prefix);
    pthread_mutex_lock(&lock);
    int result = REAL(unlink)(path);
    if (result == 0) {
        REAL(unlink)(shadow);
        /* Its inode may be given to another file. */
        for (struct file *file = files; file; file = file->next)
            if (strcmp(file->name, path + prefix + 1) == 0) file->inode = 0;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* Locks. */
static int lockless(void) {
    return getenv("DISK_LOCKLESS") != NULL;
}

#define FCNTL(call)                                                                         \
    int call(int fd, int command, ...) {                                                    \
        va_list rest;                                                                       \
        va_start(rest, command);                                                            \
        void *argument = va_arg(rest, void *);                                              \
        va_end(rest);                                                                       \
        if ((command == F_SETLK || command == F_SETLKW || command == F_GETLK) && lockless()) { \
            errno = ENOLCK;                                                                 \
            return -1;                                                                      \
        }                                                                                   \
        return REAL(call)(fd, command, argument);                                           \
    }
FCNTL(fcntl)
FCNTL(fcntl64)

int flock(int fd, int operation) {
    const char *all = getenv("DISK_LOCKLESS");
    /* Some systems have these locks alone. */
    if (all && strcmp(all, "posix") != 0) {
        errno = ENOLCK;
        return -1;
    }
    return REAL(flock)(fd, operation);
}
