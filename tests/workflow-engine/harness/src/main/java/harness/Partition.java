package harness;

import com.fasterxml.jackson.databind.JsonNode;
import io.camunda.search.clients.SearchClientsProxy;
import io.camunda.security.auth.BrokerRequestAuthorizationConverter;
import io.camunda.security.configuration.SecurityConfiguration;
import io.camunda.zeebe.db.AccessMetricsConfiguration;
import io.camunda.zeebe.db.AccessMetricsConfiguration.Kind;
import io.camunda.zeebe.db.ConsistencyChecksSettings;
import io.camunda.zeebe.db.ZeebeDb;
import io.camunda.zeebe.db.impl.rocksdb.RocksDbConfiguration;
import io.camunda.zeebe.db.impl.rocksdb.ZeebeRocksDbFactory;
import io.camunda.zeebe.engine.Engine;
import io.camunda.zeebe.engine.EngineConfiguration;
import io.camunda.zeebe.engine.processing.EngineProcessors;
import io.camunda.zeebe.engine.processing.message.command.SubscriptionCommandSender;
import io.camunda.zeebe.engine.processing.streamprocessor.JobStreamer;
import io.camunda.zeebe.engine.processing.streamprocessor.TypedRecordProcessorContext;
import io.camunda.zeebe.engine.processing.streamprocessor.TypedRecordProcessors;
import io.camunda.zeebe.logstreams.log.LogAppendEntry;
import io.camunda.zeebe.logstreams.log.LogStream;
import io.camunda.zeebe.logstreams.log.LogStreamWriter;
import io.camunda.zeebe.logstreams.log.WriteContext;
import io.camunda.zeebe.protocol.ZbColumnFamilies;
import io.camunda.zeebe.protocol.impl.encoding.AuthInfo;
import io.camunda.zeebe.protocol.impl.record.RecordMetadata;
import io.camunda.zeebe.protocol.impl.record.UnifiedRecordValue;
import io.camunda.zeebe.protocol.record.RecordType;
import io.camunda.zeebe.protocol.record.ValueType;
import io.camunda.zeebe.protocol.record.intent.Intent;
import io.camunda.zeebe.scheduler.ActorScheduler;
import io.camunda.zeebe.stream.api.InterPartitionCommandSender;
import io.camunda.zeebe.stream.impl.ControllableStreamClockImpl;
import io.camunda.zeebe.stream.impl.StreamProcessor;
import io.camunda.zeebe.util.FeatureFlags;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The engine of one partition, the only one there is, on a log and a store of its own. */
final class Partition implements AutoCloseable {
  private static final int ID = 1;
  private static final long PATIENCE_SECONDS = 30;
  private static final ActorScheduler ACTORS = actors();

  private final Replies replies = new Replies();
  private final LogStream log;
  private final LogStreamWriter commands;
  private final Path folder;
  private final ZeebeDb<ZbColumnFamilies> store;
  private final StreamProcessor processor;
  private final SecurityConfiguration security;

  /** With defaults, the engine makes the roles and grants that a new cluster has. */
  Partition(final SecurityConfiguration security, final boolean defaults) throws IOException {
    this.security = security;
    final var metrics = new SimpleMeterRegistry();
    log =
        LogStream.builder()
            .withPartitionId(ID)
            .withLogStorage(new Journal())
            .withClock(InstantSource.system())
            .withMeterRegistry(metrics)
            .build();
    commands = log.newLogStreamWriter();
    folder = Files.createTempDirectory("workflow-engine");
    store = store(folder.resolve("store"));
    final var configuration = new EngineConfiguration();
    configuration.setEnableIdentitySetup(defaults);
    processor =
        StreamProcessor.builder()
            .logStream(log)
            .zeebeDb(store)
            .actorSchedulingService(ACTORS)
            .clock(new ControllableStreamClockImpl(InstantSource.system()))
            .meterRegistry(metrics)
            .commandResponseWriter(replies)
            .partitionCommandSender(new ToItself())
            .recordProcessors(List.of(new Engine(this::processors, configuration, security)))
            .build();
    processor.openAsync(false).join();
  }

  private TypedRecordProcessors processors(final TypedRecordProcessorContext context) {
    final var itself = new ToItself();
    return EngineProcessors.createEngineProcessors(
        context,
        1,
        new SubscriptionCommandSender(ID, itself),
        itself,
        FeatureFlags.createDefault(),
        JobStreamer.noop(),
        SearchClientsProxy.noop(),
        new BrokerRequestAuthorizationConverter(security));
  }

  private static ActorScheduler actors() {
    final var actors =
        ActorScheduler.newActorScheduler()
            .setCpuBoundActorThreadCount(1)
            .setIoBoundActorThreadCount(1)
            .build();
    actors.start();
    return actors;
  }

  private static ZeebeDb<ZbColumnFamilies> store(final Path path) {
    return new ZeebeRocksDbFactory<ZbColumnFamilies>(
            new RocksDbConfiguration().setMemoryLimit(64L * 1024 * 1024),
            new ConsistencyChecksSettings(true, true),
            new AccessMetricsConfiguration(Kind.NONE, ID),
            SimpleMeterRegistry::new)
        .createDb(path.toFile());
  }

  /** Puts a command on the log, and waits for what the engine says to it. */
  Replies.Reply send(
      final ValueType type,
      final String intent,
      final long key,
      final UnifiedRecordValue value,
      final Map<String, Object> claims)
      throws Exception {
    final var authorization = new AuthInfo();
    authorization.setClaims(claims);
    final var awaited = replies.expect();
    final var named = Values.intent(type, intent);
    final var metadata =
        new RecordMetadata()
            .recordType(RecordType.COMMAND)
            .valueType(type)
            .intent(named)
            .authorization(authorization)
            .requestStreamId(ID)
            .requestId(awaited.request());
    final var written = commands.tryWrite(WriteContext.userCommand(named), entry(key, metadata, value));
    if (written.isLeft()) {
      throw new IllegalStateException("the log takes no command: " + written.getLeft());
    }
    try {
      return awaited.reply().get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    } catch (final TimeoutException e) {
      throw new IllegalStateException("no answer to " + type + " " + intent, e);
    }
  }

  private static LogAppendEntry entry(
      final long key, final RecordMetadata metadata, final UnifiedRecordValue value) {
    return key < 0 ? LogAppendEntry.of(metadata, value) : LogAppendEntry.of(key, metadata, value);
  }

  /** Waits until the log has an event whose value has all these members; gives its key. */
  long await(final ValueType type, final String intent, final JsonNode members) throws Exception {
    final var named = Values.intent(type, intent);
    final long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (System.nanoTime() < end) {
      try (var reader = log.newLogStreamReader()) {
        reader.seekToFirstEvent();
        while (reader.hasNext()) {
          final var event = reader.next();
          final var metadata = new RecordMetadata();
          event.readMetadata(metadata);
          if (metadata.getRecordType() != RecordType.EVENT
              || metadata.getValueType() != type
              || metadata.getIntent() != named) {
            continue;
          }
          final var value = Values.blank(type);
          event.readValue(value);
          if (has(Main.JSON.readTree(value.toJson()), members)) {
            return event.getKey();
          }
        }
      }
      Thread.sleep(1);
    }
    throw new IllegalStateException("no " + type + " " + intent + " with " + members);
  }

  private static boolean has(final JsonNode value, final JsonNode members) {
    return members.properties().stream()
        .allMatch(member -> value.path(member.getKey()).asText().equals(member.getValue().asText()));
  }

  @Override
  public void close() throws Exception {
    processor.closeAsync().join();
    store.close();
    log.close();
    try (var all = Files.walk(folder)) {
      for (final var path : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }

  /** What goes to another partition comes back, there being one only. */
  private final class ToItself implements InterPartitionCommandSender {
    @Override
    public void sendCommand(
        final int partition,
        final ValueType type,
        final Intent intent,
        final UnifiedRecordValue value) {
      sendCommand(partition, type, intent, null, value);
    }

    @Override
    public void sendCommand(
        final int partition,
        final ValueType type,
        final Intent intent,
        final Long key,
        final UnifiedRecordValue value) {
      final var metadata =
          new RecordMetadata().recordType(RecordType.COMMAND).valueType(type).intent(intent);
      log.newLogStreamWriter()
          .tryWrite(WriteContext.interPartition(), entry(key == null ? -1 : key, metadata, value));
    }
  }
}
