/* Records which bytes of the store's files have reached the disk, for `cargo xtask crash
 * --power-cut`: preloaded into the server, it keeps a copy of every file beside, into which a change
 * goes only when the file is synced. A loss of power gives the files back as their copies are.
 *
 * Directory entries count as durable at once. Only names that begin with "squall.db" under
 * SQUALL_POWER_DATA are looked at, and not the shared memory index, which is rebuilt at each start. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

typedef struct {
  off_t start, end;
} range;

typedef struct file {
  char name[NAME_MAX + 1];
  range *ranges;
  size_t count, space;
  struct file *next;
} file;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static file *files;

static void *real(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) {
    fprintf(stderr, "power: %s is missing\n", name);
    abort();
  }
  return found;
}

/* The file's name within the data directory, or NULL when it is none of the store's. */
static const char *name_of(const char *path) {
  const char *data = getenv("SQUALL_POWER_DATA");
  size_t len = data ? strlen(data) : 0;
  if (!len || strncmp(path, data, len) || path[len] != '/') return NULL;
  const char *name = path + len + 1;
  size_t end = strlen(name);
  if (strncmp(name, "squall.db", 9) || strchr(name, '/')) return NULL;
  if (end > 4 && !strcmp(name + end - 4, "-shm")) return NULL;
  return name;
}

static const char *name_of_descriptor(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t len = readlink(link, path, PATH_MAX - 1);
  if (len < 0) return NULL;
  path[len] = 0;
  return name_of(path);
}

static file *file_of(const char *name) {
  for (file *one = files; one; one = one->next)
    if (!strcmp(one->name, name)) return one;
  file *one = calloc(1, sizeof *one);
  if (!one) abort();
  snprintf(one->name, sizeof one->name, "%s", name);
  one->next = files;
  return files = one;
}

static void changed(int fd, off_t start, ssize_t len) {
  char path[PATH_MAX];
  int error = errno;
  const char *name = len > 0 ? name_of_descriptor(fd, path) : NULL;
  if (name) {
    pthread_mutex_lock(&lock);
    file *one = file_of(name);
    range *last = one->count ? &one->ranges[one->count - 1] : NULL;
    if (last && last->end == start) {
      last->end = start + len;
    } else {
      if (one->count == one->space) {
        one->space = one->space ? one->space * 2 : 64;
        one->ranges = realloc(one->ranges, one->space * sizeof(range));
        if (!one->ranges) abort();
      }
      one->ranges[one->count++] = (range){start, start + len};
    }
    pthread_mutex_unlock(&lock);
  }
  errno = error;
}

static int open_copy(const char *name) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", getenv("SQUALL_POWER_COPY"), name);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) abort();
  return fd;
}

static void synced(int fd) {
  static ssize_t (*write_at)(int, const void *, size_t, off_t);
  static int (*truncate_to)(int, off_t);
  static char buffer[1 << 16];
  char path[PATH_MAX];
  int error = errno;
  const char *name = name_of_descriptor(fd, path);
  if (name) {
    pthread_mutex_lock(&lock);
    if (!write_at) write_at = real("pwrite64");
    if (!truncate_to) truncate_to = real("ftruncate64");
    file *one = file_of(name);
    int from = open(path, O_RDONLY | O_CLOEXEC), to = open_copy(name);
    for (size_t i = 0; from >= 0 && i < one->count; i++) {
      for (off_t at = one->ranges[i].start; at < one->ranges[i].end;) {
        size_t want = one->ranges[i].end - at;
        ssize_t got = pread(from, buffer, want < sizeof buffer ? want : sizeof buffer, at);
        if (got <= 0) break;
        if (write_at(to, buffer, got, at) != got) abort();
        at += got;
      }
    }
    one->count = 0;
    struct stat now;
    if (!fstat(fd, &now) && truncate_to(to, now.st_size)) abort();
    if (from >= 0) close(from);
    close(to);
    pthread_mutex_unlock(&lock);
  }
  errno = error;
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t at) {
  static ssize_t (*next)(int, const void *, size_t, off_t);
  if (!next) next = real("pwrite64");
  ssize_t done = next(fd, data, len, at);
  changed(fd, at, done);
  return done;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at) { return pwrite64(fd, data, len, at); }

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) {
  static ssize_t (*next)(int, const struct iovec *, int, off_t);
  if (!next) next = real("pwritev64");
  ssize_t done = next(fd, parts, count, at);
  changed(fd, at, done);
  return done;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  return pwritev64(fd, parts, count, at);
}

int fsync(int fd) {
  static int (*next)(int);
  if (!next) next = real("fsync");
  int done = next(fd);
  if (!done) synced(fd);
  return done;
}

int fdatasync(int fd) {
  static int (*next)(int);
  if (!next) next = real("fdatasync");
  int done = next(fd);
  if (!done) synced(fd);
  return done;
}

int unlink(const char *path) {
  static int (*next)(const char *);
  if (!next) next = real("unlink");
  int done = next(path);
  const char *name = done ? NULL : name_of(path);
  if (name) {
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s/%s", getenv("SQUALL_POWER_COPY"), name);
    pthread_mutex_lock(&lock);
    file_of(name)->count = 0;
    next(copy);
    pthread_mutex_unlock(&lock);
  }
  return done;
}
