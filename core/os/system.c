/* system.c: ftok(3), and the lists and limits of the machine. Touches base. */
#include "os/system.h"
#include "os/backing.h"
#include "os/cgroup.h"
#include "os/page.h"

#include <errno.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/shm.h>
#include <sys/statvfs.h>

int shmx_ftok(const char *path, int project, int32_t *key) {
  if (project < 1 || project > 255) return -EINVAL;
  errno = 0;
  *key = ftok(path, project);
  return *key == -1 ? -errno : 0; /* -1 without an errno is a key like any other */
}

int shmx_list(shmx_stat *list, size_t room, size_t *count) {
  *count = 0;
  int status = shmx_sysv_list(list, room, count);
  return status != 0 ? status : shmx_posix_list(list, room, count);
}

/* The kernel wants a mask of as many processors as it may have, and does not say how many. */
static int count_affinity(void) {
  for (int most = 1024; most <= 1 << 20; most *= 2) {
    cpu_set_t *set = CPU_ALLOC((size_t)most);
    if (set == NULL) break;
    size_t size = CPU_ALLOC_SIZE((size_t)most);
    int status = sched_getaffinity(0, size, set);
    int error = errno, count = status == 0 ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (status == 0 || error != EINVAL) return count;
  }
  return 0;
}

int shmx_cpus(void) {
  int count = count_affinity();
  double quota = shmx_cgroup_processors("");
  if (quota > 0 && quota < count) count = (int)quota + (quota > (int)quota);
  return count > 1 ? count : 1;
}

int shmx_limits_get(shmx_limits *limits) {
  struct shminfo info;
  struct msginfo messages;
  struct statvfs posix = {0};
  if (shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&info) < 0) return -errno;
  if (msgctl(0, IPC_INFO, (struct msqid_ds *)(void *)&messages) < 0) return -errno;
  if (statvfs("/dev/shm", &posix) != 0 && errno != ENOENT) return -errno;
  struct shmx_page_room memory = shmx_page_room();
  bool is_unlimited = posix.f_frsize != 0 && posix.f_blocks == 0; /* mounted with size=0 */
  *limits = (shmx_limits){
      .page_size = shmx_page_size(false),
      .huge_page_size = shmx_page_size(true),
      .shmmax = info.shmmax,
      .shmmin = info.shmmin,
      .shmmni = info.shmmni,
      .shmall = info.shmall,
      .msgmax = (uint64_t)messages.msgmax,
      .msgmnb = (uint64_t)messages.msgmnb,
      .msgmni = (uint64_t)messages.msgmni,
      .posix_size = is_unlimited ? UINT64_MAX : posix.f_blocks * posix.f_frsize,
      .posix_free = is_unlimited ? UINT64_MAX : posix.f_bavail * posix.f_frsize,
      .memory_free = memory.left,
      .memory_limit = memory.limit,
  };
  return 0;
}
