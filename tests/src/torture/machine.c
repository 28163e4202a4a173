/* Loaded before the system's own library: keeps a copy of each store's file as a disk would have it that loses whatever
 * was not synced, fills the disk, moves the time of day, and leads connections elsewhere. `machine.rs` says how. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)

/* What was written to a file since its last sync. */
struct range { off_t at; size_t length; };
struct file { dev_t device; ino_t node; int is_store; struct range *ranges; size_t count, room; };

static struct file files[512];
static int used;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* What the test says while the host runs. */
enum { AHEAD_S, IS_FULL, SAYS };

static volatile int64_t *said(void) {
    static volatile int64_t *shared;
    if (!shared) {
        const char *path = getenv("SEAM_TEST_MACHINE");
        int file = path ? open(path, O_RDONLY) : -1;
        void *there = file < 0 ? MAP_FAILED : mmap(NULL, SAYS * sizeof *shared, PROT_READ, MAP_SHARED, file, 0);
        if (file >= 0) close(file);
        static int64_t nothing[SAYS];
        shared = there == MAP_FAILED ? nothing : there;
    }
    return shared;
}

/* Whether the path of an open file is below the data folder; `path` is its rest then. */
static int below_data(int fd, char *path, size_t size) {
    const char *data = getenv("SEAM_TEST_POWER_DATA");
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (!data || length <= 0) return 0;
    path[length] = 0;
    size_t start = strlen(data);
    if (strncmp(path, data, start)) return 0;
    memmove(path, path + start, length - start + 1);
    return 1;
}

/* As `below_data`, of the files of stores and their logs alone. */
static int is_store(int fd, char *path, size_t size) {
    if (!below_data(fd, path, size)) return 0;
    const char *dot = strrchr(path, '.');
    return dot && (!strcmp(dot, ".db") || !strcmp(dot, ".db-wal"));
}

/* Whether a write up to `end` finds no room: what makes no file of the data folder longer does. It is the user's quota
 * that is used up: of a full file system, the host asks how much room it has, past this library. */
static int finds_no_room(int fd, off_t end) {
    char path[4096];
    struct stat stat;
    if (!said()[IS_FULL] || fstat(fd, &stat) || !S_ISREG(stat.st_mode) || end <= stat.st_size) return 0;
    if (!below_data(fd, path, sizeof path)) return 0;
    errno = EDQUOT;
    return 1;
}

/* With the lock held. */
static struct file *file_of(int fd) {
    struct stat stat;
    if (!getenv("SEAM_TEST_POWER_DATA") || fstat(fd, &stat) || !S_ISREG(stat.st_mode)) return NULL;
    for (int i = 0; i < used; i++)
        if (files[i].device == stat.st_dev && files[i].node == stat.st_ino && files[i].is_store) return &files[i];
    char path[4096];
    if (!is_store(fd, path, sizeof path)) return NULL;
    if (used == sizeof files / sizeof *files) abort();
    files[used] = (struct file){ .device = stat.st_dev, .node = stat.st_ino, .is_store = 1 };
    return &files[used++];
}

static void wrote(int fd, off_t at, ssize_t length) {
    if (length <= 0) return;
    pthread_mutex_lock(&lock);
    struct file *file = file_of(fd);
    if (file) {
        if (file->count == file->room) {
            file->room = file->room ? 2 * file->room : 64;
            file->ranges = realloc(file->ranges, file->room * sizeof *file->ranges);
        }
        file->ranges[file->count++] = (struct range){ at, length };
    }
    pthread_mutex_unlock(&lock);
}

/* The disk has the file now as it is. */
static void synced(int fd) {
    char path[4096], to[8192], buffer[65536];
    pthread_mutex_lock(&lock);
    struct file *file = file_of(fd);
    struct stat stat;
    if (file && is_store(fd, path, sizeof path) && !fstat(fd, &stat)) {
        snprintf(to, sizeof to, "%s%s", getenv("SEAM_TEST_POWER_DISK"), path);
        int disk = open(to, O_RDWR | O_CREAT, 0600);
        for (size_t i = 0; disk >= 0 && i < file->count; i++) {
            struct range left = file->ranges[i];
            while (left.length) {
                size_t some = left.length < sizeof buffer ? left.length : sizeof buffer;
                ssize_t got = pread(fd, buffer, some, left.at);
                if (got <= 0) break;
                REAL(pwrite);
                real(disk, buffer, got, left.at);
                left.at += got, left.length -= got;
            }
        }
        if (disk >= 0) {
            if (ftruncate(disk, stat.st_size)) abort();
            close(disk);
        }
        file->count = 0;
    }
    pthread_mutex_unlock(&lock);
}

ssize_t pwrite(int fd, const void *from, size_t length, off_t at) {
    REAL(pwrite);
    if (finds_no_room(fd, at + (off_t)length)) return -1;
    ssize_t done = real(fd, from, length, at);
    wrote(fd, at, done);
    return done;
}

ssize_t pwrite64(int fd, const void *from, size_t length, off_t at) { return pwrite(fd, from, length, at); }

ssize_t write(int fd, const void *from, size_t length) {
    REAL(write);
    if (said()[IS_FULL]) {
        off_t at = fcntl(fd, F_GETFL) & O_APPEND ? INT64_MAX / 2 : lseek(fd, 0, SEEK_CUR);
        if (finds_no_room(fd, at + (off_t)length)) return -1;
    }
    ssize_t done = real(fd, from, length);
    if (done > 0 && getenv("SEAM_TEST_POWER_DATA")) {
        off_t end = lseek(fd, 0, SEEK_CUR);
        if (end >= 0) wrote(fd, end - done, done);
    }
    return done;
}

int fsync(int fd) {
    REAL(fsync);
    int code = real(fd);
    if (!code) synced(fd);
    return code;
}

int fdatasync(int fd) {
    REAL(fdatasync);
    int code = real(fd);
    if (!code) synced(fd);
    return code;
}

int clock_gettime(clockid_t clock, struct timespec *to) {
    REAL(clock_gettime);
    int code = real(clock, to);
    if (!code && clock == CLOCK_REALTIME) to->tv_sec += said()[AHEAD_S];
    return code;
}

int gettimeofday(struct timeval *restrict to, void *restrict zone) {
    REAL(gettimeofday);
    int code = real(to, zone);
    if (!code) to->tv_sec += said()[AHEAD_S];
    return code;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}

/* A connection to a port of this machine goes elsewhere: `SEAM_TEST_WAYS` is `PORT=ADDRESS:PORT,...`. */
int connect(int fd, const struct sockaddr *to, socklen_t length) {
    REAL(connect);
    const char *way = getenv("SEAM_TEST_WAYS");
    struct sockaddr_in by;
    if (!way || to->sa_family != AF_INET || length < sizeof by) return real(fd, to, length);
    memcpy(&by, to, sizeof by);
    for (; way; way = strchr(way, ','), way = way ? way + 1 : way) {
        unsigned port, via;
        char address[16];
        if (sscanf(way, "%u=%15[0-9.]:%u", &port, address, &via) == 3 && port == ntohs(by.sin_port)) {
            inet_pton(AF_INET, address, &by.sin_addr);
            by.sin_port = htons(via);
            return real(fd, (struct sockaddr *)&by, sizeof by);
        }
    }
    return real(fd, to, length);
}

/* With `SEAM_TEST_EVERYWHERE`, what would listen on loopback listens on all addresses. */
int bind(int fd, const struct sockaddr *to, socklen_t length) {
    REAL(bind);
    struct sockaddr_in all;
    if (!getenv("SEAM_TEST_EVERYWHERE") || to->sa_family != AF_INET || length < sizeof all) return real(fd, to, length);
    memcpy(&all, to, sizeof all);
    all.sin_addr.s_addr = htonl(INADDR_ANY);
    return real(fd, (struct sockaddr *)&all, sizeof all);
}
