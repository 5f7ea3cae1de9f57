package harness;

import com.fasterxml.jackson.databind.JsonNode;
import io.camunda.zeebe.msgpack.spec.MsgPackWriter;
import io.camunda.zeebe.protocol.impl.record.UnifiedRecordValue;
import io.camunda.zeebe.protocol.record.ValueType;
import io.camunda.zeebe.protocol.record.intent.Intent;
import io.camunda.zeebe.stream.impl.TypedEventRegistry;
import java.util.Base64;
import org.agrona.DirectBuffer;
import org.agrona.ExpandableArrayBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * JSON as the values of the engine's records, which are MessagePack maps. Two forms stand for what
 * JSON lacks: {@code {"$base64": text}} for bytes, {@code {"$document": value}} for a value that a
 * record holds packed, as bytes.
 */
final class Values {
  private Values() {}

  static UnifiedRecordValue record(final ValueType type, final JsonNode json) throws Exception {
    return record(type, packed(json));
  }

  static UnifiedRecordValue record(final ValueType type, final DirectBuffer bytes)
      throws Exception {
    final var record = blank(type);
    record.wrap(bytes);
    return record;
  }

  static UnifiedRecordValue blank(final ValueType type) throws Exception {
    return TypedEventRegistry.EVENT_REGISTRY.get(type).getDeclaredConstructor().newInstance();
  }

  /** By number, since 8.8.0 finds the intents of some types by number only. */
  static Intent intent(final ValueType type, final String name) {
    for (short number = 0; number <= Intent.maxCardinality(); number++) {
      final var intent = Intent.fromProtocolValue(type, number);
      if (intent != Intent.UNKNOWN && intent.name().equals(name)) {
        return intent;
      }
    }
    throw new IllegalArgumentException(type + " has no intent " + name);
  }

  private static DirectBuffer packed(final JsonNode json) {
    final var buffer = new ExpandableArrayBuffer();
    final var writer = new MsgPackWriter().wrap(buffer, 0);
    write(writer, json);
    return new UnsafeBuffer(buffer, 0, writer.getOffset());
  }

  private static void write(final MsgPackWriter writer, final JsonNode json) {
    if (json.has("$base64")) {
      writer.writeBinary(new UnsafeBuffer(Base64.getDecoder().decode(json.get("$base64").asText())));
    } else if (json.has("$document")) {
      writer.writeBinary(packed(json.get("$document")));
    } else if (json.isObject()) {
      writer.writeMapHeader(json.size());
      json.fields()
          .forEachRemaining(
              member -> {
                text(writer, member.getKey());
                write(writer, member.getValue());
              });
    } else if (json.isArray()) {
      writer.writeArrayHeader(json.size());
      json.forEach(item -> write(writer, item));
    } else if (json.isTextual()) {
      text(writer, json.asText());
    } else if (json.isIntegralNumber()) {
      writer.writeInteger(json.asLong());
    } else if (json.isBoolean()) {
      writer.writeBoolean(json.asBoolean());
    } else if (json.isMissingNode()) {
      writer.writeMapHeader(0);
    } else {
      throw new IllegalArgumentException("no record holds " + json);
    }
  }

  private static void text(final MsgPackWriter writer, final String text) {
    writer.writeString(new UnsafeBuffer(text.getBytes(java.nio.charset.StandardCharsets.UTF_8)));
  }
}
