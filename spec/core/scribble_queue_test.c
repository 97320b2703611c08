/*
 * scribble_queue_test.c shows that a peer who writes into a channel, a topic or a service whatever
 * and wherever he likes, as fast as he can, may spoil messages, and nothing else: who works with it
 * meanwhile gets errors, or other messages, in time. scribble.h has them.
 */
#include "queue_scene.h"

#include "scribble.h"

#include <poll.h>

static void begin_toys(unsigned number) {
  (void)number;
  toys_begin(&all, scene.kind, scene.parameter, scene.memory);
}

/* A descriptor's thread reads the memory, too. */
static void poll_descriptor(void) {
  struct pollfd polled = {.events = POLLIN};
  TOY_EXPECT(shmx_channel_fd(&all.channel, &polled.fd) == 0);
  TOY_EXPECT(poll(&polled, 1, 0) >= 0 || errno == EINTR);
}

static int work_once(void) {
  unsigned which = operation_for(scene.kind, below(64));
  bool seldom = which == REOPEN || which == SERVICE_REOPEN || which == CLAIM;
  if (seldom && below(8) != 0) which = operation_for(scene.kind, 0);
  if (scene.kind == CHANNEL && below(100) == 0) poll_descriptor();
  return toys_run(&all, which, below(4) ? 0 : TIMEOUT / (1 + below(100)), below(256));
}

static void scribble_over(int kind, uint64_t parameter) {
  scene_begin(&scene, 0, kind, parameter);
  scribble_under_workers(0.8);
  scene_end(&scene);
}

static void test_a_scribbling_peer_harms_no_channel(void **state) {
  (void)state;
  scribble_over(CHANNEL, SHMX_CHANNEL_MIN);
}

static void test_a_scribbling_peer_harms_no_topic(void **state) {
  (void)state;
  scribble_over(TOPIC, SHMX_CHANNEL_MIN);
}

static void test_a_scribbling_peer_harms_no_service(void **state) {
  (void)state;
  scribble_over(SERVICE, 64);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_a_scribbling_peer_harms_no_channel, nothing_left),
      cmocka_unit_test_teardown(test_a_scribbling_peer_harms_no_topic, nothing_left),
      cmocka_unit_test_teardown(test_a_scribbling_peer_harms_no_service, nothing_left),
  };
  return cmocka_run_group_tests(tests, begin_run, nothing_left);
}
