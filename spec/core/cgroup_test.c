/*
 * cgroup_test.c: what control groups leave a process, as made-up folders of files have it: both
 * versions, several levels, containers with and without a namespace of their own.
 */
#include "support.h"

#include "os/cgroup.h"

#include <ftw.h>

#define MIB  UINT64_C(1048576)
#define NONE UINT64_MAX

static char root[64];

static int make_root(void **state) {
  (void)state;
  strcpy(root, "/tmp/shmx-cgroup-XXXXXX");
  return mkdtemp(root) == NULL;
}

static int remove_one(const char *path, const struct stat *unused, int kind, struct FTW *walk) {
  (void)unused, (void)kind, (void)walk;
  return remove(path);
}

static int remove_root(void **state) {
  (void)state;
  return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file below the root, whose folders are made. */
static void put(const char *path, const char *text) {
  char whole[512];
  snprintf(whole, sizeof whole, "%s%s", root, path);
  for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
    *slash = '\0';
    assert_true(mkdir(whole, 0700) == 0 || errno == EEXIST);
    *slash = '/';
  }
  FILE *file = fopen(whole, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void put_process(const char *cgroup, const char *mountinfo) {
  put("/proc/self/cgroup", cgroup);
  put("/proc/self/mountinfo", mountinfo);
}

static void put_number(const char *folder, const char *name, uint64_t number) {
  char path[256], text[32];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  snprintf(text, sizeof text, "%llu\n", (unsigned long long)number);
  put(path, text);
}

/* A level of version 2, some of whose usage is page cache. */
static void put_level(const char *folder, uint64_t limit, uint64_t used, uint64_t cache) {
  char path[256], text[256];
  put_number(folder, "memory.max", limit);
  put_number(folder, "memory.current", used);
  snprintf(path, sizeof path, "%s/memory.stat", folder);
  snprintf(text, sizeof text,
           "anon 4096\nfile %llu\ninactive_anon 9\nactive_file %llu\ninactive_file %llu\n",
           (unsigned long long)cache, (unsigned long long)cache / 2,
           (unsigned long long)(cache - cache / 2));
  put(path, text);
}

/* The same of version 1; the figures of the group alone, without those below it, are others. */
static void put_old_level(const char *folder, uint64_t limit, uint64_t used, uint64_t cache) {
  char path[256], text[256];
  put_number(folder, "memory.limit_in_bytes", limit);
  put_number(folder, "memory.usage_in_bytes", used);
  snprintf(path, sizeof path, "%s/memory.stat", folder);
  snprintf(text, sizeof text,
           "cache 1\ninactive_file 999999999\nactive_file 999999999\n"
           "total_inactive_file %llu\ntotal_active_file %llu\n",
           (unsigned long long)(cache - cache / 2), (unsigned long long)cache / 2);
  put(path, text);
}

static void assert_memory(uint64_t swap, uint64_t limit, uint64_t left) {
  struct shmx_cgroup_memory memory = shmx_cgroup_memory(root, swap);
  assert_int_equal(memory.limit, limit);
  assert_int_equal(memory.left, left);
}

static void assert_processors(double expected) {
  double found = shmx_cgroup_processors(root);
  assert_true(found > expected - 0.001 && found < expected + 0.001);
}

#define V2 "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

/* ---- memory ---- */

static void test_version_2_leaves_the_limit_less_the_usage_without_page_cache(void **state) {
  (void)state;
  put_process("0::/a\n", V2);
  put_level("/sys/fs/cgroup/a", 128 * MIB, 60 * MIB, 21 * MIB);
  assert_memory(0, 128 * MIB, 89 * MIB);
  put_level("/sys/fs/cgroup/a", 128 * MIB, 200 * MIB, 21 * MIB);
  assert_memory(0, 128 * MIB, 0);
  put_level("/sys/fs/cgroup/a", 128 * MIB, 20 * MIB, 21 * MIB);
  assert_memory(0, 128 * MIB, 128 * MIB);
}

static void test_the_level_that_leaves_least_counts(void **state) {
  (void)state;
  put_process("0::/a/b/c\n", V2);
  put_level("/sys/fs/cgroup/a", 100 * MIB, 90 * MIB, 0);
  put_level("/sys/fs/cgroup/a/b", 50 * MIB, 30 * MIB, 0);
  put("/sys/fs/cgroup/a/b/c/memory.max", "max\n");
  put_number("/sys/fs/cgroup/a/b/c", "memory.current", 30 * MIB);
  assert_memory(0, 100 * MIB, 10 * MIB);
  put_level("/sys/fs/cgroup/a/b/c", 40 * MIB, 35 * MIB, 0);
  assert_memory(0, 40 * MIB, 5 * MIB);
  put_level("/sys/fs/cgroup", 90 * MIB, 89 * MIB, 0); /* the top of a container has one, too */
  assert_memory(0, 90 * MIB, MIB);
}

static void test_version_1_has_a_hierarchy_for_each_controller(void **state) {
  (void)state;
  put_process("4:memory:/a/b\n3:cpuset:/\n2:cpu,cpuacct:/x\n0::/ignored\n",
              "35 31 0:32 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
              "36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
              "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  put_old_level("/sys/fs/cgroup/memory", UINT64_C(9223372036854771712), 900 * MIB, 0);
  put_old_level("/sys/fs/cgroup/memory/a", 100 * MIB, 90 * MIB, 30 * MIB);
  put_old_level("/sys/fs/cgroup/memory/a/b", UINT64_C(9223372036854771712), 90 * MIB, 0);
  assert_memory(0, 100 * MIB, 40 * MIB);
}

static void test_a_container_without_a_namespace_of_groups_is_mounted_at_its_own(void **state) {
  (void)state;
  put_process(
      "4:memory:/docker/4711/inner\n",
      "36 31 0:33 /docker/4711 /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory\n");
  put_old_level("/sys/fs/cgroup/memory", 100 * MIB, 90 * MIB, 0);
  put_old_level("/sys/fs/cgroup/memory/inner", 95 * MIB, 90 * MIB, 0);
  assert_memory(0, 95 * MIB, 5 * MIB);
}

static void test_a_mount_that_does_not_show_the_group_counts_at_its_top(void **state) {
  (void)state;
  static const char *const paths[] = {"0::/elsewhere/x\n", "0::/../../x\n", "0::/docker/47110\n"};
  put_level("/sys/fs/cgroup", 100 * MIB, 90 * MIB, 0);
  put_level("/sys/fs/cgroup/x", MIB, MIB, 0);
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    put_process(paths[i], "36 31 0:33 /docker/4711 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    assert_memory(0, 100 * MIB, 10 * MIB);
  }
}

static void test_a_mount_that_shows_the_group_is_preferred(void **state) {
  (void)state;
  put_process("0::/a\n", "36 31 0:33 /b /first rw - cgroup2 none rw\n"
                         "37 31 0:33 / /with\\040space rw - cgroup2 none rw\n");
  put_level("/first", MIB, MIB, 0);
  put_level("/with space/a", 100 * MIB, 90 * MIB, 0);
  assert_memory(0, 100 * MIB, 10 * MIB);
}

static void test_swap_adds_what_group_and_machine_both_have(void **state) {
  (void)state;
  put_process("0::/a\n", V2);
  put_level("/sys/fs/cgroup/a", 100 * MIB, 90 * MIB, 0);
  assert_memory(7 * MIB, 100 * MIB, 17 * MIB); /* without the controller of swap */
  put_number("/sys/fs/cgroup/a", "memory.swap.max", 50 * MIB);
  put_number("/sys/fs/cgroup/a", "memory.swap.current", 45 * MIB);
  assert_memory(7 * MIB, 100 * MIB, 15 * MIB);
  assert_memory(0, 100 * MIB, 10 * MIB);
  put("/sys/fs/cgroup/a/memory.swap.max", "max\n");
  assert_memory(7 * MIB, 100 * MIB, 17 * MIB);
}

static void test_version_1_limits_memory_and_swap_together(void **state) {
  (void)state;
  put_process("4:memory:/\n", "36 31 0:33 / /m rw - cgroup cgroup rw,memory\n");
  put_old_level("/m", 100 * MIB, 90 * MIB, 10 * MIB);
  put_number("/m", "memory.memsw.limit_in_bytes", 100 * MIB);
  put_number("/m", "memory.memsw.usage_in_bytes", 90 * MIB);
  assert_memory(1000 * MIB, 100 * MIB, 20 * MIB);
  put_number("/m", "memory.memsw.limit_in_bytes", 104 * MIB);
  assert_memory(1000 * MIB, 100 * MIB, 24 * MIB);
}

/* ---- processors ---- */

static void test_the_least_quota_of_all_levels_counts(void **state) {
  (void)state;
  put_process("0::/a/b\n", V2);
  assert_processors(0);
  put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  assert_processors(0);
  put("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  assert_processors(1.5);
  put("/sys/fs/cgroup/a/b/cpu.max", "20000 50000\n");
  assert_processors(0.4);
}

static void test_version_1_has_quota_and_period_in_two_files(void **state) {
  (void)state;
  put_process("2:cpu,cpuacct:/a\n1:cpuset:/\n",
              "35 31 0:32 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
              "36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
  put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  assert_processors(0);
  put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "250000\n");
  assert_processors(2.5);
  put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "100000\n");
  put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  assert_processors(1);
}

/* ---- what is not as it should be ---- */

static void test_what_cannot_be_read_limits_nothing(void **state) {
  (void)state;
  assert_memory(0, NONE, NONE);
  assert_processors(0);
  static const char *const cgroups[] = {"", "\n", "0:\n", "x\n::\n", "0::/a", ":memory:\n0::\n"};
  static const char *const mounts[] = {"",
                                       " - \n",
                                       " - cgroup2\n",
                                       "1 2 3 - cgroup2 x rw\n",
                                       "1 2 3 / \\ rw - cgroup2 x rw\n",
                                       "- cgroup2 - x -\n"};
  for (size_t i = 0; i < sizeof cgroups / sizeof *cgroups; i++)
    for (size_t j = 0; j < sizeof mounts / sizeof *mounts; j++) {
      put_process(cgroups[i], mounts[j]);
      assert_memory(0, NONE, NONE);
      assert_processors(0);
    }
  put_process("0::/a\n", V2);
  put("/sys/fs/cgroup/a/memory.max", "a word\n");
  assert_memory(0, NONE, NONE);
  put_number("/sys/fs/cgroup/a", "memory.max", MIB); /* and no memory.current */
  put("/sys/fs/cgroup/a/cpu.max", "100000\n");
  assert_memory(0, NONE, NONE);
  assert_processors(0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_version_2_leaves_the_limit_less_the_usage_without_page_cache),
      TEST(test_the_level_that_leaves_least_counts),
      TEST(test_version_1_has_a_hierarchy_for_each_controller),
      TEST(test_a_container_without_a_namespace_of_groups_is_mounted_at_its_own),
      TEST(test_a_mount_that_does_not_show_the_group_counts_at_its_top),
      TEST(test_a_mount_that_shows_the_group_is_preferred),
      TEST(test_swap_adds_what_group_and_machine_both_have),
      TEST(test_version_1_limits_memory_and_swap_together),
      TEST(test_the_least_quota_of_all_levels_counts),
      TEST(test_version_1_has_quota_and_period_in_two_files),
      TEST(test_what_cannot_be_read_limits_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
