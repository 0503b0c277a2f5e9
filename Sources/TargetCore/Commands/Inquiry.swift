// SPDX-License-Identifier: Apache-2.0

import SCSI

/// INQUIRY (SPC-4 6.6).
enum Inquiry {
    static let row = row { InquiryData($0) }

    /// Of a number without a logical unit: PERIPHERAL QUALIFIER 011b, device type 1Fh.
    static let absentRow = row { InquiryData(absent: $0) }

    private static let flagByte = 1
    private static let enableVPDMask: UInt8 = 0x01
    private static let pageCodeByte = 2
    private static let allocationLengthByte = 3

    private static func row(_ data: @escaping @Sendable (NexusUnit) -> InquiryData) -> CommandDescriptor {
        CommandDescriptor(
            name: "INQUIRY", opcode: .inquiry, usage: [enableVPDMask, 0xFF, 0xFF, 0xFF, 0x00],
            data: .toInitiator, traits: [.passesUnitAttention, .implicitHeadOfQueue], reservation: .always,
            plan: { task, _ throws(SenseData) in
                TransferPlan(toInitiator: Int(task.cdb.uint16(at: allocationLengthByte)))
            },
            perform: { task, nexus throws(SenseData) in try perform(task, data(nexus)) })
    }

    private static func perform(_ task: SCSITask, _ data: InquiryData) throws(SenseData) -> CommandDescriptor.Step {
        let pageCode = task.cdb[pageCodeByte]
        if task.cdb.isSet(enableVPDMask, inByte: flagByte) {
            var isKnown = false
            let step = task.respond { isKnown = data.pages.write(pageCode: pageCode, to: &$0) }
            guard isKnown else { throw .invalidFieldInCDB(byte: pageCodeByte) }
            return step
        }
        guard pageCode == 0 else { throw .invalidFieldInCDB(byte: pageCodeByte) }
        return task.respond { data.standard.write(to: &$0) }
    }
}

/// What INQUIRY tells of a unit, from its identity, its features and the nexus that asks.
struct InquiryData {
    let standard: StandardInquiryData
    let pages: VitalProductData

    init(_ nexus: NexusUnit) {
        let unit = nexus.unit
        standard = Self.standard(unit.identity, .disk, isProtected: unit.isProtected)
        pages = VitalProductData(pages: [
            .unitSerialNumber(unit.identity.serial),
            .deviceIdentification(Self.designators(unit.identity, nexus.nexus)),
            .extendedInquiryData(Self.extended(unit)),
            .blockLimits(Self.limits(unit)),
            .blockDeviceCharacteristics(Self.characteristics(unit)),
            .logicalBlockProvisioning(Self.provisioning(unit)),
        ])
    }

    /// No vital product data but the list of none.
    init(absent nexus: NexusUnit) {
        standard = Self.standard(nexus.unit.identity, .none, isProtected: false)
        pages = VitalProductData(peripheral: .none, pages: [])
    }

    private static func standard(
        _ identity: LogicalUnitIdentity, _ peripheral: Peripheral, isProtected: Bool
    ) -> StandardInquiryData {
        var data = StandardInquiryData(
            vendor: identity.vendor, product: identity.product, revision: identity.revision)
        data.peripheral = peripheral
        data.supportsProtection = isProtected
        return data
    }

    /// Names of the unit, of the port that the command came through, and of the device behind both.
    private static func designators(_ identity: LogicalUnitIdentity, _ nexus: ITNexus) -> [DesignationDescriptor] {
        let target = nexus.target
        let transport = nexus.protocolIdentifier
        return [
            DesignationDescriptor(.naaLocallyAssigned(identity.naa), of: .logicalUnit),
            DesignationDescriptor(
                .t10VendorID(vendor: identity.vendor, specific: identity.serial), of: .logicalUnit),
            DesignationDescriptor(
                .relativeTargetPort(target.relativePortIdentifier), of: .targetPort, protocol: transport),
            DesignationDescriptor(.scsiNameString(nexus.targetPortName), of: .targetPort, protocol: transport),
            DesignationDescriptor(.scsiNameString(target.name), of: .targetDevice, protocol: transport),
        ]
    }

    private static func extended(_ unit: LogicalUnit) -> ExtendedInquiryData {
        var page = ExtendedInquiryData()
        page.hasVolatileCache = unit.hasVolatileWriteCache
        page.protection = unit.protection?.type
        page.protectionChecks = unit.protection?.readChecks ?? []
        return page
    }

    private static func limits(_ unit: LogicalUnit) -> BlockLimits {
        var page = BlockLimits()
        page.maximumCompareAndWriteBlockCount = UInt8(clamping: CompareAndWriteCommand.maximumBlockCount(on: unit))
        page.maximumTransferBlockCount = UInt32(clamping: unit.maximumTransferBlockCount)
        page.optimalTransferBlockCount = min(
            unit.features.optimalTransferBlockCount, page.maximumTransferBlockCount)
        page.maximumWriteSameBlockCount = WriteSameCommands.maximumBlockCount(on: unit)
        if unit.features.canUnmap {
            page.maximumUnmapBlockCount = UnmapCommand.maximumBlockCount(on: unit)
            page.maximumUnmapDescriptorCount = UInt32(TargetLimits.unmapDescriptorCount)
            page.optimalUnmapGranularity = unit.features.unmapGranularity
            if unit.features.unmapGranularity > 0 {
                page.unmapGranularityAlignment = unit.features.unmapGranularityAlignment
            }
        }
        return page
    }

    private static func characteristics(_ unit: LogicalUnit) -> BlockDeviceCharacteristics {
        var page = BlockDeviceCharacteristics()
        if unit.features.isSolidState { page.rotation = .nonRotating }
        return page
    }

    private static func provisioning(_ unit: LogicalUnit) -> LogicalBlockProvisioning {
        var page = LogicalBlockProvisioning()
        guard unit.features.canUnmap else { return page }
        page.supportsUnmap = true
        page.supportsWriteSame16Unmap = true
        page.supportsWriteSame10Unmap = true
        page.unmappedRead = unit.features.unmappedReadsZero ? .zeroes : .unspecified
        page.provisioningType = .thin
        return page
    }
}
