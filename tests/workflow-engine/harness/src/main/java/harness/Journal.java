package harness;

import io.camunda.zeebe.logstreams.storage.LogStorage;
import io.camunda.zeebe.logstreams.storage.LogStorageReader;
import io.camunda.zeebe.util.buffer.BufferWriter;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.CopyOnWriteArrayList;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** A partition's log in memory: whatever is appended is committed at once and never compacted. */
final class Journal implements LogStorage {
  private record Chunk(long lastPosition, UnsafeBuffer content) {}

  private final List<Chunk> chunks = new CopyOnWriteArrayList<>();
  private final List<CommitListener> listeners = new CopyOnWriteArrayList<>();

  @Override
  public synchronized void append(
      final long firstPosition,
      final long lastPosition,
      final BufferWriter source,
      final AppendListener appended) {
    final var content = new UnsafeBuffer(new byte[source.getLength()]);
    source.write(content, 0);
    chunks.add(new Chunk(lastPosition, content));
    appended.onWrite(chunks.size(), lastPosition);
    appended.onCommit(chunks.size(), lastPosition);
    listeners.forEach(CommitListener::onCommit);
  }

  @Override
  public void addCommitListener(final CommitListener listener) {
    listeners.add(listener);
  }

  @Override
  public void removeCommitListener(final CommitListener listener) {
    listeners.remove(listener);
  }

  @Override
  public LogStorageReader newReader() {
    return new Reader();
  }

  private final class Reader implements LogStorageReader {
    private int next;

    @Override
    public void seek(final long position) {
      next = 0;
      while (hasNext() && chunks.get(next).lastPosition() < position) {
        next++;
      }
    }

    @Override
    public boolean hasNext() {
      return next < chunks.size();
    }

    @Override
    public DirectBuffer next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      final var content = chunks.get(next++).content();
      return new UnsafeBuffer(content, 0, content.capacity());
    }

    @Override
    public void close() {
      // It holds nothing.
    }
  }
}
