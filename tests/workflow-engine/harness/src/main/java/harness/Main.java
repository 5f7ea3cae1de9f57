package harness;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.camunda.security.configuration.SecurityConfiguration;
import io.camunda.security.entity.AuthenticationMethod;
import io.camunda.zeebe.protocol.record.ValueType;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/**
 * Reads one order a line from standard input and writes one answer a line to standard output.
 *
 * <ul>
 *   <li>{@code {"do": "open", "authorizations", "multiTenancy", "groupsClaim", "defaults"}}: a new,
 *       empty engine in place of the one before.
 *   <li>{@code {"do": "send", "type", "intent", "key", "value", "as"}}: a command; the answer says
 *       whether it was accepted, and why not.
 *   <li>{@code {"do": "await", "type", "intent", "where"}}: the key of the first event whose value
 *       has these members.
 * </ul>
 *
 * An order that cannot be carried out is answered with {@code {"error"}}.
 */
public final class Main {
  static final ObjectMapper JSON = new ObjectMapper();

  private Main() {}

  public static void main(final String[] arguments) throws Exception {
    final var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    final var out = new java.io.PrintStream(System.out, true, StandardCharsets.UTF_8);
    Partition partition = null;
    Identities identities = null;
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      ObjectNode answer;
      try {
        final var order = JSON.readTree(line);
        switch (order.path("do").asText()) {
          case "open" -> {
            if (partition != null) {
              partition.close();
            }
            final var security = security(order);
            identities = new Identities(security);
            partition = new Partition(security, order.path("defaults").asBoolean());
            answer = JSON.createObjectNode();
          }
          case "send" -> answer = send(partition, identities, order);
          case "await" -> {
            final var type = ValueType.valueOf(order.path("type").asText());
            final long key = partition.await(type, order.path("intent").asText(), order.path("where"));
            answer = JSON.createObjectNode().put("key", key);
          }
          default -> throw new IllegalArgumentException("unknown order");
        }
      } catch (final Exception e) {
        answer = JSON.createObjectNode().put("error", e.toString());
      }
      out.println(answer);
    }
    if (partition != null) {
      partition.close();
    }
    // The actors' threads would keep the process.
    System.exit(0);
  }

  private static SecurityConfiguration security(final JsonNode order) {
    final var security = new SecurityConfiguration();
    security.getAuthorizations().setEnabled(order.path("authorizations").asBoolean(true));
    security.getMultiTenancy().setChecksEnabled(order.path("multiTenancy").asBoolean(false));
    if (order.hasNonNull("groupsClaim")) {
      final var authentication = security.getAuthentication();
      authentication.setMethod(AuthenticationMethod.OIDC);
      authentication.getOidc().setGroupsClaim(order.get("groupsClaim").asText());
    }
    return security;
  }

  private static ObjectNode send(
      final Partition partition, final Identities identities, final JsonNode order)
      throws Exception {
    final var type = ValueType.valueOf(order.path("type").asText());
    final var value = Values.record(type, order.path("value"));
    final var claims = identities.claims(order.path("as"));
    final var reply =
        partition.send(
            type, order.path("intent").asText(), order.path("key").asLong(-1), value, claims);
    final var answer = JSON.createObjectNode().put("accepted", reply.accepted());
    if (reply.accepted()) {
      answer.put("key", reply.key());
      answer.set("value", JSON.readTree(Values.record(type, reply.value()).toJson()));
    } else {
      answer.put("rejection", reply.rejection().name()).put("reason", reply.reason());
    }
    return answer;
  }
}
