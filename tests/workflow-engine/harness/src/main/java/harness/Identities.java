package harness;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import io.camunda.security.auth.BrokerRequestAuthorizationConverter;
import io.camunda.security.auth.CamundaAuthentication;
import io.camunda.security.configuration.SecurityConfiguration;
import java.util.List;
import java.util.Map;

/** What a gateway writes into a command about who sends it. */
final class Identities {
  private static final TypeReference<Map<String, Object>> CLAIMS = new TypeReference<>() {};
  private static final TypeReference<List<String>> NAMES = new TypeReference<>() {};

  private final BrokerRequestAuthorizationConverter gateway;

  Identities(final SecurityConfiguration security) {
    gateway = new BrokerRequestAuthorizationConverter(security);
  }

  /**
   * A principal as {@code {"username" or "clientId", "groups", "claims"}}; without one, somebody
   * whom the engine does not check.
   */
  Map<String, Object> claims(final JsonNode as) {
    if (!as.isObject()) {
      return gateway.convert(CamundaAuthentication.anonymous());
    }
    return gateway.convert(
        CamundaAuthentication.of(
            identity -> {
              if (as.hasNonNull("username")) {
                identity.user(as.get("username").asText());
              }
              if (as.hasNonNull("clientId")) {
                identity.clientId(as.get("clientId").asText());
              }
              if (as.hasNonNull("groups")) {
                identity.groupIds(Main.JSON.convertValue(as.get("groups"), NAMES));
              }
              if (as.hasNonNull("claims")) {
                identity.claims(Main.JSON.convertValue(as.get("claims"), CLAIMS));
              } else {
                identity.claims(Map.of());
              }
              return identity;
            }));
  }
}
