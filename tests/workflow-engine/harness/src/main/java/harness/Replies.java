package harness;

import io.camunda.zeebe.protocol.record.RecordType;
import io.camunda.zeebe.protocol.record.RejectionType;
import io.camunda.zeebe.protocol.record.ValueType;
import io.camunda.zeebe.protocol.record.intent.Intent;
import io.camunda.zeebe.stream.api.CommandResponseWriter;
import io.camunda.zeebe.util.buffer.BufferUtil;
import io.camunda.zeebe.util.buffer.BufferWriter;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** What the engine answers, brought to whoever waits for it. The engine calls it from one thread. */
final class Replies implements CommandResponseWriter {
  /** What the engine said to a command. */
  record Reply(
      boolean accepted, long key, RejectionType rejection, String reason, DirectBuffer value) {}

  /** A reply to come, and the request's number by which it is known. */
  record Awaited(long request, CompletableFuture<Reply> reply) {}

  private final AtomicLong requests = new AtomicLong();
  private final Map<Long, CompletableFuture<Reply>> waiting = new ConcurrentHashMap<>();

  private RecordType recordType;
  private long key;
  private RejectionType rejection;
  private String reason;
  private DirectBuffer value;

  Awaited expect() {
    final var awaited = new Awaited(requests.incrementAndGet(), new CompletableFuture<>());
    waiting.put(awaited.request(), awaited.reply());
    return awaited;
  }

  @Override
  public CommandResponseWriter recordType(final RecordType type) {
    recordType = type;
    return this;
  }

  @Override
  public CommandResponseWriter key(final long recordKey) {
    key = recordKey;
    return this;
  }

  @Override
  public CommandResponseWriter rejectionType(final RejectionType type) {
    rejection = type;
    return this;
  }

  @Override
  public CommandResponseWriter rejectionReason(final DirectBuffer text) {
    reason = BufferUtil.bufferAsString(text);
    return this;
  }

  @Override
  public CommandResponseWriter valueWriter(final BufferWriter writer) {
    final var bytes = new UnsafeBuffer(new byte[writer.getLength()]);
    writer.write(bytes, 0);
    value = bytes;
    return this;
  }

  @Override
  public CommandResponseWriter partitionId(final int partition) {
    return this;
  }

  @Override
  public CommandResponseWriter intent(final Intent intent) {
    return this;
  }

  @Override
  public CommandResponseWriter valueType(final ValueType type) {
    return this;
  }

  @Override
  public void tryWriteResponse(final int stream, final long request) {
    final var reply = waiting.remove(request);
    if (reply != null) {
      reply.complete(new Reply(recordType == RecordType.EVENT, key, rejection, reason, value));
    }
  }
}
