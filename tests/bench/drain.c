/* The limit: a C program on librabbitmq that drains a queue, acknowledges and stores nothing.
 *
 * usage: drain PORT QUEUE MESSAGES PREFETCH ACK_EVERY
 * prints: seconds and CPU seconds from the first consume to the last acknowledgement
 */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_utime.tv_usec / 1e6 + u.ru_stime.tv_sec + u.ru_stime.tv_usec / 1e6;
}

static void expect(amqp_rpc_reply_t reply, const char *what) {
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
    fprintf(stderr, "drain: %s failed\n", what);
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: drain PORT QUEUE MESSAGES PREFETCH ACK_EVERY\n");
    return 2;
  }
  long messages = atol(argv[3]), every = atol(argv[5]);
  amqp_connection_state_t connection = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(connection);
  if (amqp_socket_open(socket, "127.0.0.1", atoi(argv[1]))) {
    fprintf(stderr, "drain: no connection\n");
    return 1;
  }
  expect(amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"), "login");
  amqp_channel_open(connection, 1);
  expect(amqp_get_rpc_reply(connection), "channel");
  amqp_basic_qos(connection, 1, 0, (uint16_t)atoi(argv[4]), 0);
  double began = now(), used = cpu();
  amqp_basic_consume(connection, 1, amqp_cstring_bytes(argv[2]), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
  expect(amqp_get_rpc_reply(connection), "consume");
  unsigned long long bytes = 0;
  for (long count = 1; count <= messages; count++) {
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(connection);
    expect(amqp_consume_message(connection, &envelope, NULL, 0), "receive");
    bytes += envelope.message.body.len;
    if (count % every == 0 || count == messages) amqp_basic_ack(connection, 1, envelope.delivery_tag, 1);
    amqp_destroy_envelope(&envelope);
  }
  printf("%.6f %.6f %llu\n", now() - began, cpu() - used, bytes);
  amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
  return 0;
}
