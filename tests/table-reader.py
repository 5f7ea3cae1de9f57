"""Reads a table, by docs/table-format.md alone, and prints the policy in it as JSON.

    table-reader.py TABLE [POLICY]

With a policy it compares: exit status 1 where the table does not hold exactly what the policy says.
"""

import json
import struct
import sys
import zlib

SPACES = "users clients groups roles rules claims tenants paths types permissions".split()
OWNERS = {"users": "USER", "clients": "CLIENT", "groups": "GROUP", "roles": "ROLE", "rules": "MAPPING_RULE"}
MEMBERSHIPS = ["groups", "roles", "tenants", "rules"]


def width(most):
    return most.bit_length()


class Bits:
    def __init__(self, data, place):
        self.data, self.at = data, place * 8

    def number(self, bits):
        if bits == 0:
            return 0
        first, end = self.at // 8, (self.at + bits + 7) // 8
        value = int.from_bytes(self.data[first:end], "big") >> (end * 8 - self.at - bits)
        self.at += bits
        return value & ((1 << bits) - 1)

    def bytes(self, count):
        return self.number(count * 8)

    def fill_up(self):
        self.at = -(-self.at // 8) * 8


class Code:
    def __init__(self, bits):
        counts = [bits.bytes(1) for _ in range(11)]
        self.symbols, code = {}, 0
        for length, count in enumerate(counts, 1):
            code <<= 1
            for _ in range(count):
                self.symbols[length, code] = bits.bytes(1)
                code += 1

    def symbol(self, bits):
        code = 0
        for length in range(1, 12):
            code = code << 1 | bits.number(1)
            if (length, code) in self.symbols:
                return self.symbols[length, code]
        raise ValueError("not a code")

    def number(self, bits):
        symbol = self.symbol(bits)
        return bits.number(32) if symbol == 254 else symbol


def dictionary(bits, codes):
    keep, rear, middle, text, _ = codes
    count, size = bits.bytes(4), bits.bytes(4)
    places = [bits.number(width(size)) for _ in range(-(-count // 32))]
    bits.fill_up()
    start, names = bits.at // 8, []
    for block, place in enumerate(places):
        bits.at = (start + place) * 8
        length = bits.bytes(1)
        if length == 255:
            length = bits.bytes(2)
        names.append(bits.data[bits.at // 8 : bits.at // 8 + length])
        bits.at += length * 8
        for _ in range(min(31, count - block * 32 - 1)):
            before, k, r = names[-1], keep.symbol(bits), rear.symbol(bits)
            new = bytes(text.symbol(bits) for _ in range(middle.number(bits)))
            names.append(before[:k] + new + before[len(before) - r :])
    bits.at = (start + size) * 8
    assert names == sorted(names) and len(names) == count
    return names


def shape(count, bound):
    low = width(bound // count) - 1 if count and bound >= count else 0
    upper = count + (max(bound - 1, 0) >> low)
    hints = max(count - 1, 0) // 256
    return low, upper, hints, hints * width(upper) + upper + count * low


def sequence(bits, count, bound):
    low, upper, hints, _ = shape(count, bound)
    told = [bits.number(width(upper)) for _ in range(hints)]
    ones = [at for at in range(upper) if bits.number(1)]
    assert told == ones[256::256] and len(ones) == count
    return [((at - index) << low) + bits.number(low) for index, at in enumerate(ones)]


def numbers(bits, count, bound):
    if count == bound:
        return list(range(count))
    if bound <= 1024 and bound <= shape(count, bound)[3]:
        return [number for number in range(bound) if bits.number(1)]
    return sequence(bits, count, bound)


def read(data):
    assert data[:4] == b"PCTB" and data[4:8] == b"\0\1\0\0", "not a table of format 1"
    assert struct.unpack(">II", data[8:16]) == (len(data), zlib.crc32(data[16:])), "damaged"
    places = struct.unpack(">19I", data[60:136])
    codes_part = Bits(data, places[0])
    codes = [Code(codes_part) for _ in range(5)]
    names = {space: dictionary(Bits(data, place), codes) for space, place in zip(SPACES, places[3:13])}

    part = Bits(data, places[1])
    columns = []
    for _ in range(part.bytes(1)):
        kind, is_property = names["types"][part.bytes(2)], part.bytes(1)
        permissions = [names["permissions"][part.bytes(2)] for _ in range(part.bytes(1))]
        sets = [part.bytes(2) for _ in range(part.bytes(4))]
        sets = [[name.decode() for i, name in enumerate(permissions) if held >> i & 1] for held in sets]
        columns.append((kind.decode(), is_property, sets, [b"*"] + dictionary(part, codes)))

    part = Bits(data, places[2])
    column_sets = [[c for c in range(4 + len(columns)) if part.number(1)] for _ in range(part.bytes(4))]

    grants, members, claims = set(), set(), set()
    for space, place in zip(SPACES, places[13:19]):
        part = Bits(data, place)
        size = part.bytes(4)
        begins = sequence(part, len(names[space]), size + 1)
        start = part.at
        for owner, begin in zip(names[space], begins):
            part.at = start + begin
            for column in column_sets[part.number(width(len(column_sets) - 1))]:
                count = codes[4].number(part) + 1
                if column < 4:
                    of = MEMBERSHIPS[column]
                    listed = [names[of][n].decode() for n in numbers(part, count, len(names[of]))]
                    if space == "claims":
                        claims |= {(rule, *map(bytes.decode, owner.split(b"\xff"))) for rule in listed}
                    else:
                        members |= {(OWNERS[space], owner.decode(), of, name) for name in listed}
                    continue
                kind, is_property, sets, ids = columns[column - 4]
                listed, held = numbers(part, count, len(ids)), [0] * count
                if len(sets) > 1:
                    one, bits = part.number(1), width(len(sets) - 1)
                    held = [part.number(bits)] * count if one else [part.number(bits) for _ in listed]
                for number, permissions in zip(listed, held):
                    for permission in sets[permissions]:
                        grants.add((OWNERS[space], owner.decode(), kind, is_property, ids[number].decode(), permission))
    assert len({grant[:5] for grant in grants}) == struct.unpack(">I", data[56:60])[0]
    return grants, members, claims


def said(policy):
    """The same of a policy in which every grant grants something."""
    grants = {
        (g["ownerType"], g["ownerId"], g["resourceType"], int("resourcePropertyName" in g),
         g.get("resourcePropertyName") or g["resourceId"], permission)
        for g in policy.get("authorizations", [])
        for permission in g["permissionTypes"]
    }
    kinds = {"users": "USER", "clients": "CLIENT", "groups": "GROUP", "roles": "ROLE", "mappingRules": "MAPPING_RULE"}
    members = {
        (kinds[field], member, of, item[key])
        for of, key in (("roles", "roleId"), ("groups", "groupId"), ("tenants", "tenantId"))
        for item in policy.get(of, [])
        for field in kinds
        if not (of == "groups" and field == "roles")
        for member in item.get(field, [])
    }
    members |= {("GROUP", g["groupId"], "roles", r) for g in policy.get("groups", []) for r in g.get("roles", [])}
    claims = {(r["mappingRuleId"], r["claimName"], r["claimValue"]) for r in policy.get("mappingRules", [])}
    return grants, members, claims


def main(table, policy=None):
    with open(table, "rb") as file:
        held = read(file.read())
    if policy is None:
        print(json.dumps([sorted(part) for part in held], indent=1))
        return 0
    with open(policy, encoding="utf-8") as file:
        told = said(json.load(file))
    for name, one, other in zip(("grants", "memberships", "claims"), held, told):
        for sign, difference in (("+", one - other), ("-", other - one)):
            for item in sorted(difference)[:20]:
                print(sign, name, *item)
    return int(held != told)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
