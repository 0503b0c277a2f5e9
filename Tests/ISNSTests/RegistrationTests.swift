// SPDX-License-Identifier: Apache-2.0

import ISNS
import Testing

@Suite("iSNS registration requests")
struct ISNSRegistrationTests {
    static let v4: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 1]
    static let v6: [UInt8] = [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    static let registration = ISNSRegistration(
        entity: "store", targets: ["iqn.a", "iqn.b"],
        portals: [
            ISNSPortal(address: v4, port: 3260, groupTag: 1, notificationPort: 700),
            ISNSPortal(address: v6, port: 3261, groupTag: 2),
        ],
        periodSeconds: 60)

    static func tags(_ message: ISNSMessage) throws -> [UInt32] {
        try ISNSAttribute.list(message.payload[...]).map(\.tag)
    }

    @Test("DevAttrReg lists the entity, its portals, and each target with its portal groups, in the RFC's order")
    func register() throws {
        let message = Self.registration.registerRequest(transaction: 5, replaces: true)
        #expect(message.knownFunction == .devAttrReg && message.flags == [.client, .replace])
        let attributes = try ISNSAttribute.list(message.payload[...])
        let groups: [UInt32] = [51, 49, 50, 51, 49, 50]
        #expect(attributes.map(\.tag) == [32, 1, 0, 1, 2, 6, 16, 17, 23, 16, 17, 32, 33] + groups + [32, 33] + groups)
        #expect(attributes[0].text == "iqn.a" && attributes[1].text == "store")
        #expect(attributes[4].number == 2 && attributes[5].number == 60)
        #expect(attributes[6].value == Self.v4 && attributes[7].number == 3260 && attributes[8].number == 700)
        #expect(attributes[9].value == Self.v6 && attributes[11].text == "iqn.a" && attributes[12].number == 1)
        #expect(attributes[13].number == 1 && attributes[14].value == Self.v4 && attributes[16].number == 2)
        #expect(Self.registration.registerRequest(transaction: 5, replaces: false).flags == .client)
    }

    @Test("A target that is not on all portals has no tag for the others")
    func hiddenTarget() throws {
        var registration = Self.registration
        registration.portalGroupTags = ["iqn.b": [2]]
        let message = registration.registerRequest(transaction: 5, replaces: true)
        let tags = try ISNSAttribute.list(message.payload[...]).filter { $0.tag == ISNSTag.portalGroupTag }
        #expect(tags.map(\.number) == [1, 2, nil, 2])
        #expect(tags[2].value.isEmpty)
    }

    @Test("Entity Status Inquiries are asked for only with an interval")
    func inquiries() throws {
        var registration = Self.registration
        registration.inquirySeconds = 30
        let tags = try Self.tags(registration.registerRequest(transaction: 1, replaces: true))
        #expect(Array(tags[6..<11]) == [16, 17, 19, 20, 23])
    }

    @Test("Notifications are asked for only where they can arrive")
    func subscribe() throws {
        #expect(Self.registration.canSubscribe)
        var registration = Self.registration
        registration.portals[0].notificationPort = nil
        #expect(!registration.canSubscribe)
        registration = Self.registration
        registration.wantsChanges = false
        #expect(!registration.canSubscribe)
        let message = Self.registration.subscribeRequest(transaction: 2, target: "iqn.b")
        let attributes = try ISNSAttribute.list(message.payload[...])
        #expect(attributes.map(\.tag) == [32, 32, 0, 35])
        #expect(attributes[1].text == "iqn.b" && attributes[3].number == 0x9C)
    }

    @Test("The query asks for the entity by its key, the deregistration names it")
    func others() throws {
        #expect(try Self.tags(Self.registration.queryRequest(transaction: 3)) == [32, 1, 0, 1, 6])
        #expect(try Self.tags(Self.registration.deregisterRequest(transaction: 4)) == [32, 0, 1])
    }
}
